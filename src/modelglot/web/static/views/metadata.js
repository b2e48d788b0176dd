// What the file says of itself: every key, long values when they are opened.

import { get, summary } from '../lib/api.js';
import { el, fill, later, put } from '../lib/dom.js';
import { plural, real, visible, visibleLines, whole } from '../lib/text.js';

const LONG = 120; // characters of a value that are shown before it is opened
const PAGE = 200;

export async function show(root, { file }) {
  const { metadata } = await summary(file);
  const entries = Object.entries(metadata);
  const said = el('p', { class: 'soft said', role: 'status' });
  const list = el('ul', { class: 'meta' });
  const texts = entries.map(([key, entry]) => `${key} ${textOf(entry.value)}`.toLowerCase());
  const items = entries.map(([key, entry]) => item(file, key, entry));
  const update = () => {
    const query = field.value.trim().toLowerCase();
    let count = 0;
    items.forEach((node, i) => {
      node.hidden = !texts[i].includes(query);
      count += node.hidden ? 0 : 1;
    });
    said.textContent = query ? `${plural(count, 'key')} found` : plural(entries.length, 'key');
  };
  const field = el('input', {
    type: 'search',
    placeholder: 'key or value',
    autocomplete: 'off',
    spellcheck: 'false',
    'aria-label': 'Search metadata',
    'aria-keyshortcuts': '/',
    oninput: later(update, 30),
  });
  put(list, items);
  put(
    root,
    el('h1', { class: 'away' }, 'Metadata'),
    entries.length
      ? [el('div', { class: 'tools' }, field, said), list]
      : el('p', { class: 'soft' }, 'There is no metadata in this file.'),
  );
  update();
}

/** A value on one line, as the document has it: long arrays are their beginning and their length. */
function textOf(value) {
  if (value && Array.isArray(value.first))
    return `[${value.first.map(textOf).join(', ')}, …] (${plural(value.length, 'value')})`;
  if (value && typeof value.bytes === 'number' && typeof value.first === 'string')
    return `${plural(value.bytes, 'byte')}: ${value.first}`;
  if (Array.isArray(value)) return `[${value.map(textOf).join(', ')}]`;
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : real(value);
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function typeOf({ type, value }) {
  const count = Array.isArray(value?.first) ? ` of ${whole(value.length)}` : '';
  return visible(type) + count;
}

function item(file, key, entry) {
  const text = visible(textOf(entry.value).slice(0, LONG + 1)); // some are megabytes
  const head = [
    el('span', { class: 'meta-key' }, el('bdi', {}, visible(key))),
    ' ',
    el('span', { class: 'meta-type' }, typeOf(entry)),
  ];
  const long = text.length > LONG || entry.value?.first !== undefined;
  if (!long)
    return el(
      'li',
      {},
      el('div', { class: 'meta-head' }, head),
      el('div', { class: 'meta-value' }, el('bdi', {}, text)),
    );
  const body = el('div', { class: 'meta-body' });
  const open = () => body.childNodes.length || fill(body, 'Reading', () => opened(file, key));
  const cut = text.length > LONG ? `${text.slice(0, LONG)}…` : text;
  return el(
    'li',
    {},
    el(
      'details',
      { ontoggle: open },
      el(
        'summary',
        {},
        el('span', { class: 'meta-head' }, head),
        el('span', { class: 'meta-value' }, el('bdi', {}, cut)),
      ),
      body,
    ),
  );
}

async function opened(file, key) {
  const found = await get(`api/metadata/${file}`, { key, from: 0, count: PAGE });
  if (!('values' in found))
    return el(
      'pre',
      { tabindex: 0, 'aria-label': `Value of ${visible(key)}` },
      visibleLines(typeof found.value === 'string' ? found.value : JSON.stringify(found.value, null, 2)),
    );
  return pages(file, key, found);
}

/** A long array, a page at a time, with a search that the server does. */
function pages(file, key, first) {
  const list = el('ol', { class: 'values', tabindex: 0, 'aria-label': `Values of ${visible(key)}` });
  const said = el('span', { class: 'soft', role: 'status' });
  const state = { from: 0, search: '', turn: 0 };
  const draw = (found) => {
    list.replaceChildren(
      ...found.values.map(([i, value]) =>
        el('li', {}, el('span', { class: 'index' }, whole(i)), ' ', el('bdi', {}, visible(textOf(value)))),
      ),
    );
    const end = state.from + found.values.length;
    said.textContent = found.values.length
      ? `${whole(state.from + 1)} to ${whole(end)} of ${whole(found.found ?? found.length)}`
      : 'none';
    before.disabled = state.from === 0;
    after.disabled = found.found === undefined ? found.values.length < PAGE : end >= found.found;
  };
  const load = async () => {
    const mine = (state.turn += 1); // only the newest answer is drawn
    const found = await get(`api/metadata/${file}`, { key, from: state.from, count: PAGE, search: state.search });
    if (mine === state.turn) draw(found);
  };
  const go = (by) => {
    state.from = Math.max(0, state.from + by);
    load().catch((error) => {
      said.textContent = error.message;
    });
  };
  const before = el('button', { type: 'button', class: 'button', onclick: () => go(-PAGE) }, 'Before');
  const after = el('button', { type: 'button', class: 'button', onclick: () => go(PAGE) }, 'After');
  const search = el('input', {
    type: 'search',
    'aria-label': `Search the values of ${visible(key)}`,
    placeholder: 'value',
    oninput: later(() => {
      state.search = search.value;
      state.from = 0;
      go(0);
    }, 200),
  });
  draw(first);
  return [el('div', { class: 'tools' }, search, before, after, said), list];
}
