// The tensors of two files as rows, with the values of those that were read.

import { el, later } from '../lib/dom.js';
import { plural, shape, short, visible, whole } from '../lib/text.js';
import { VirtualList } from '../lib/virtual.js';

const COLUMNS = ['tensor', 'first', 'second', 'bits', 'relative error', 'largest error', 'SNR'];

export class CompareList {
  /** @param {{added: string[], removed: string[], same: string[], changed: any[]}} found */
  constructor(found) {
    const sameShape = ({ left, right }) => left.shape.join() === right.shape.join();
    this.all = [
      ...found.changed.map((c) => ({ name: c.name, state: 'changed', left: side(c.left), right: side(c.right) })),
      ...found.removed.map((name) => ({ name, state: 'removed', left: 'there', right: '–' })),
      ...found.added.map((name) => ({ name, state: 'added', left: '–', right: 'there' })),
      ...found.same.map((name) => ({ name, state: 'same', left: '', right: '' })),
    ];
    this.comparable = [...found.changed.filter(sameShape).map((c) => c.name), ...found.same];
    this.values = new Map();
    this.shown = this.all;
    this.element = el('div', {
      class: 'compare list',
      role: 'table',
      tabindex: 0,
      'aria-label': 'Tensors of both files',
      'aria-rowcount': this.all.length + 1,
    });
    this.list = new VirtualList(
      this.element,
      (i) => this.row(i),
      el(
        'div',
        { class: 'list-heads', role: 'row' },
        COLUMNS.map((c) => el('span', { role: 'columnheader' }, c)),
      ),
    );
    this.search = el('input', {
      type: 'search',
      placeholder: 'name',
      autocomplete: 'off',
      spellcheck: 'false',
      'aria-label': 'Search tensors',
      'aria-keyshortcuts': '/',
      oninput: later(() => this.update(), 30),
    });
    this.state = el(
      'select',
      { 'aria-label': 'Which', onchange: () => this.update() },
      ['all', 'changed', 'removed', 'added', 'same', 'worst first'].map((s) => el('option', { value: s }, s)),
    );
    this.said = el('span', { class: 'soft', role: 'status' });
    this.tools = el('div', { class: 'tools' }, this.search, this.state, this.said);
    this.redraw = later(() => this.list.refresh(), 100);
    this.update();
  }

  update() {
    const query = this.search.value.trim().toLowerCase();
    const state = this.state.value;
    const wanted = (row) =>
      state === 'all' || state === row.state || (state === 'worst first' && this.values.has(row.name));
    this.shown = this.all.filter((row) => row.name.toLowerCase().includes(query) && wanted(row));
    if (state === 'worst first')
      this.shown.sort((a, b) => (this.values.get(b.name).relative ?? -1) - (this.values.get(a.name).relative ?? -1));
    this.element.scrollTop = 0;
    this.said.textContent = plural(this.shown.length, 'tensor');
    this.list.refresh(this.shown.length);
  }

  set(name, value) {
    this.values.set(name, value);
    this.redraw();
  }

  row(index) {
    const row = this.shown[index];
    const value = this.values.get(row.name);
    const cells = value?.error ? [value.error, '', '', ''] : numbers(value);
    const texts = [row.left || value?.left || '', row.right || value?.right || '', ...cells];
    return el(
      'div',
      { role: 'row', 'aria-rowindex': index + 2, class: `is-${row.state}` },
      el(
        'span',
        { role: 'cell', class: 'tree-name', title: visible(row.name) },
        el('span', { class: 'state' }, { added: '+', removed: '−', changed: '≠', same: '=' }[row.state]),
        ' ',
        el('bdi', {}, visible(row.name)),
        el('span', { class: 'away' }, ` ${row.state}`),
      ),
      texts.map((text) => el('span', { role: 'cell', title: visible(text) }, visible(text))),
    );
  }

  stop() {
    this.list.stop();
  }
}

const side = (s) => `${s.type} ${shape(s.shape)}`;

/** Bits a weight, relative and largest error, signal to noise in decibels. */
function numbers(value) {
  if (!value) return ['', '', '', ''];
  const bits = Number.isInteger(value.bits) ? whole(value.bits) : short(value.bits);
  if (value.equal) return [bits, '0', '0', 'equal'];
  return [
    bits,
    short(value.relative),
    short(value.worst ?? value.max),
    Number.isFinite(value.snr) ? `${value.snr.toFixed(1)} dB` : '',
  ];
}
