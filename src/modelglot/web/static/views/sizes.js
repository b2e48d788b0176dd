// Where the bytes are: a treemap, and the largest parts as a table.

import { chart, frame } from '../lib/charts.js';
import { el, table as tableOf } from '../lib/dom.js';
import { to } from '../lib/route.js';
import { percent, shape, size, visible, whole } from '../lib/text.js';
import { children } from '../tree/group.js';

const DEPTH = 4;
const MANY = 60; // parts of one branch that are drawn; the smaller ones are one

export function sizes(table, file) {
  const all = table.names.map((_, id) => id);
  const total = sum(table, all);
  const label = 'Map of sizes: rectangles as large as the bytes of branches of the tree. The largest tensors are in the table below it.';
  const open = ({ data }) => {
    if (data.tensor !== undefined) location.hash = to('tensor', file, table.names[data.tensor]);
  };
  return el('div', {},
    chart(label, (colours) => options(colours, nodes(table, all, 0, 1, ''), total), { height: 360, onclick: open }),
    tableOf('The largest tensors', [{ head: 'name', code: true }, { head: 'type', code: true }, { head: 'shape', code: true }, { head: 'size', number: true }, { head: 'share', number: true }],
      largest(table).map((id) => [el('a', { href: to('tensor', file, table.names[id]) }, visible(table.names[id])), visible(table.kinds[table.kind[id]]), shape(table.shapes[id]), size(table.bytes[id]), percent(table.bytes[id], total)])));
}

const sum = (table, ids) => ids.reduce((n, id) => n + table.bytes[id], 0);

function largest(table) {
  return table.names.map((_, id) => id).sort((a, b) => table.bytes[b] - table.bytes[a] || a - b).slice(0, 20);
}

function nodes(table, ids, start, depth, prefix) {
  const found = children(table, ids, start).map((entry) => node(table, entry, depth, prefix));
  found.sort((a, b) => b.value - a.value);
  const rest = found.slice(MANY);
  if (!rest.length) return found;
  return [...found.slice(0, MANY), { name: `${whole(rest.length)} more`, full: `${prefix} (${whole(rest.length)} smaller)`, value: rest.reduce((n, p) => n + p.value, 0) }];
}

function node(table, entry, depth, prefix) {
  const name = visible(entry.label) + (entry.parts ? ` × ${entry.parts.length}` : '');
  const full = prefix ? `${prefix} › ${name}` : name;
  const made = { name, full, value: sum(table, entry.ids) };
  if (entry.leaf && !entry.parts) made.tensor = entry.ids[0];
  else if (entry.parts && depth < DEPTH && !entry.leaf) made.children = inner(table, entry, depth, full);
  else if (!entry.leaf && depth < DEPTH) made.children = nodes(table, entry.ids, entry.end, depth + 1, full);
  return made;
}

/** A run of equal branches is drawn as one of them, with the bytes of all. */
function inner(table, entry, depth, full) {
  const one = nodes(table, entry.parts[0].ids, entry.parts[0].end, depth + 1, full);
  const part = sum(table, entry.parts[0].ids) || 1;
  const factor = sum(table, entry.ids) / part;
  return scaled(one, factor);
}

const scaled = (list, factor) => list.map((n) => ({ ...n, tensor: undefined, value: n.value * factor, children: n.children && scaled(n.children, factor) }));

function options(colours, data, total) {
  const { base } = frame(colours);
  return {
    ...base,
    tooltip: { ...base.tooltip, formatter: ({ data: d, value }) => `${d?.full ?? ''}\n${size(value)}, ${percent(value, total)}` },
    color: colours.kinds,
    series: [{
      type: 'treemap', data, name: 'all', roam: false, nodeClick: false, breadcrumb: { show: false },
      left: 0, right: 0, top: 4, bottom: 0,
      label: { show: true, color: '#fff', fontSize: 11, overflow: 'truncate' },
      upperLabel: { show: true, height: 18, color: colours.text, fontSize: 11, overflow: 'truncate' },
      itemStyle: { borderColor: colours.back, borderWidth: 1, gapWidth: 1 },
      levels: [{ itemStyle: { borderWidth: 0, gapWidth: 2 }, upperLabel: { show: false } }, { itemStyle: { borderColor: colours.line, borderWidth: 2, gapWidth: 1 } }, { colorSaturation: [0.4, 0.6], itemStyle: { borderColorSaturation: 0.5, borderWidth: 2, gapWidth: 1 } }],
    }],
  };
}
