// One row of the tree: mark, name, type, shape, size.

import { el } from '../lib/dom.js';
import { to } from '../lib/route.js';
import { plural, shape, size, visible } from '../lib/text.js';
import { isBranch } from './rows.js';

/**
 * @param {{table: import('./group.js').Table, file: number, words: string[]}} view
 * @param {import('./rows.js').Row} row
 * @param {boolean} active whether keys are at it
 */
export function drawRow({ table, file, words }, row, active) {
  const branch = isBranch(row);
  const bytes = row.ids.reduce((sum, id) => sum + table.bytes[id], 0);
  const attributes = {
    'aria-level': row.level,
    'aria-posinset': row.place,
    'aria-setsize': row.of,
    'aria-selected': active,
  };
  return el(
    'div',
    {
      role: 'treeitem',
      'aria-expanded': branch ? String(row.open) : null,
      class: active ? 'active' : null,
      ...attributes,
      vars: { '--level': row.level - 1 },
    },
    el('span', { class: 'tree-mark', 'aria-hidden': 'true' }, branch ? (row.open ? '▾' : '▸') : ''),
    branch ? branchName(row, words) : tensorName(table, file, row, words),
    el('span', { class: 'tree-type' }, row.leaf ? type(table, row) : ''),
    el('span', { class: 'tree-shape' }, row.leaf ? shapes(table, row) : plural(row.ids.length, 'tensor')),
    el('span', { class: 'tree-size' }, size(bytes)),
  );
}

function branchName(row, words) {
  const text = visible(row.label);
  const times = row.parts && el('span', { class: 'times' }, ` × ${row.parts.length}`);
  return el('span', { class: 'tree-name', title: text }, el('bdi', {}, marked(text, words)), times);
}

function tensorName(table, file, row, words) {
  const name = table.names[row.ids[0]];
  return el(
    'a',
    { class: 'tree-name', tabindex: -1, href: to('tensor', file, name), title: visible(name) },
    el('bdi', {}, marked(visible(row.label), words)),
  );
}

/** What was searched for, marked. */
function marked(text, words) {
  const lower = text.toLowerCase();
  const word = words.find((w) => lower.includes(w));
  if (!word) return text;
  const at = lower.indexOf(word);
  return [text.slice(0, at), el('mark', {}, text.slice(at, at + word.length)), text.slice(at + word.length)];
}

function type(table, row) {
  const found = new Set(row.ids.map((id) => table.kind[id]));
  return found.size === 1 ? visible(table.kinds[[...found][0]]) : 'various';
}

const shapes = (table, row) => (row.various ? 'various' : shape(table.shapes[row.ids[0]]));
