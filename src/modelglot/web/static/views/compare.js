// Two files side by side: what is only in one, what changed, and how far values are apart.

import { get, once, summary } from '../lib/api.js';
import { disposeCharts } from '../lib/charts.js';
import { announce, el, facts, put, section } from '../lib/dom.js';
import { to } from '../lib/route.js';
import { human, plural, size, visible } from '../lib/text.js';
import { CompareList } from './compare-list.js';

export async function show(root, { file: left, rest, files }) {
  const right =
    /^\d+$/.test(rest) && files[Number(rest)] ? Number(rest) : files.length > 1 ? (left === 0 ? 1 : 0) : left;
  put(root, el('h1', { class: 'away' }, 'Compare'));
  if (files.length < 2) {
    put(root, el('p', { class: 'soft' }, 'Give two files to the command, `modelglot view A B`, to compare them.'));
    return null;
  }
  const [found, a, b] = await Promise.all([once(`api/compare/${left}/${right}`), summary(left), summary(right)]);
  const list = new CompareList(found);
  const run = new Comparison(root, list, left, right);
  put(
    root,
    choices(left, right, files),
    facts(totals(found, a, b), 'wide'),
    section('Values', run.element),
    section('Tensors', list.tools, list.element),
  );
  return () => {
    run.stop();
    list.stop();
    disposeCharts(root);
  };
}

function choices(left, right, files) {
  const select = (label, chosen, move) => {
    const made = el(
      'select',
      {
        'aria-label': label,
        onchange: () => {
          location.hash = move(Number(made.value));
        },
      },
      files.map((f, i) => el('option', { value: i }, visible(f.name))),
    );
    made.value = chosen;
    return made;
  };
  return el(
    'div',
    { class: 'tools pair' },
    select('Reference', left, (value) => to('compare', value, value === right ? left : right)),
    el('span', { 'aria-hidden': 'true' }, '→'),
    select('Compared with it', right, (value) => to('compare', value === left ? right : left, value)),
  );
}

function totals(found, a, b) {
  const pair = (of) => `${of(a)} → ${of(b)}`;
  const bits = (s) => (s.totals.parameters ? ((s.totals.bytes * 8) / s.totals.parameters).toFixed(2) : '–');
  return [
    ['format', pair((s) => s.format.title)],
    ['parameters', pair((s) => human(s.totals.parameters))],
    ['bytes of tensors', pair((s) => size(s.totals.bytes))],
    ['bits a parameter', pair(bits)],
    ['only in the first', plural(found.removed.length, 'tensor')],
    ['only in the second', plural(found.added.length, 'tensor')],
    ['other type or shape', plural(found.changed.length, 'tensor')],
    ['same type and shape', plural(found.same.length, 'tensor')],
  ];
}

/** Reads the values tensor by tensor, as long as it is wanted. */
class Comparison {
  constructor(root, list, left, right) {
    Object.assign(this, { root, list, left, right, aborted: null });
    this.button = el(
      'button',
      { type: 'button', class: 'button', onclick: () => (this.aborted ? this.stop() : this.start()) },
      'Compare values',
    );
    this.progress = el('progress', {
      max: Math.max(1, list.comparable.length),
      value: 0,
      hidden: true,
      'aria-label': 'Tensors compared',
    });
    this.said = el(
      'span',
      { class: 'soft', role: 'status' },
      `${plural(list.comparable.length, 'tensor')} to read on both sides`,
    );
    this.result = el('div', {});
    this.element = el('div', {}, el('div', { class: 'tools' }, this.button, this.progress, this.said), this.result);
    this.button.disabled = !list.comparable.length;
  }

  stop() {
    this.aborted?.abort();
  }

  async start() {
    const mine = (this.aborted = new AbortController());
    this.button.textContent = 'Stop';
    this.progress.hidden = false;
    const names = this.list.comparable.filter((name) => !this.list.values.has(name));
    for (const name of names) {
      if (mine.signal.aborted) break;
      await this.one(name, mine.signal);
      this.progress.value = this.list.values.size;
      this.said.textContent = `${this.list.values.size} of ${this.list.comparable.length}`;
    }
    this.aborted = null;
    this.progress.hidden = true;
    const done = this.list.values.size === this.list.comparable.length;
    this.button.textContent = done ? 'Compared' : 'Go on';
    this.button.disabled = done;
    if (this.root.isConnected) await this.draw(done);
  }

  async one(name, signal) {
    try {
      this.list.set(name, await get(`api/compare/${this.left}/${this.right}/tensor`, { name }, signal));
    } catch (error) {
      if (error.name !== 'AbortError') this.list.set(name, { name, error: error.message });
    }
  }

  async draw(done) {
    const { damage } = await import('./damage.js');
    disposeCharts(this.result);
    this.result.replaceChildren();
    put(this.result, damage([...this.list.values.values()], done));
    announce(this.result.querySelector('p')?.textContent ?? '');
  }
}
