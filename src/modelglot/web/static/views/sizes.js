// Where the bytes are: a treemap, and the largest parts as a table.

import { chart, frame } from '../lib/charts.js';
import { el, table as tableOf } from '../lib/dom.js';
import { to } from '../lib/route.js';
import { percent, shape, size, visible, whole } from '../lib/text.js';
import { children } from '../tree/group.js';

const MANY = 60; // parts of one branch that are drawn; the smaller ones are one
const SEEN = 500; // a branch with less than one such part of all bytes is not divided

/** @param {import('../tree/group.js').Table} table */
export function sizes(table, file) {
  const map = new SizeMap(table);
  const label =
    'Map of sizes: rectangles as large as the bytes of branches of the tree, coloured by type. The largest tensors are in a table below it.';
  const open = ({ data }) => {
    if (data.tensor !== undefined) location.hash = to('tensor', file, table.names[data.tensor]);
  };
  return el(
    'div',
    {},
    chart(label, (colours) => options(colours, map.nodes(colours), map.total), { height: 360, onclick: open }),
    el('details', {}, el('summary', {}, 'The largest tensors'), map.largest(file)),
  );
}

class SizeMap {
  constructor(table) {
    this.table = table;
    this.all = table.names.map((_, id) => id);
    this.total = this.sum(this.all);
    const bytes = table.kinds.map((_, kind) =>
      this.all.reduce((n, id) => n + (table.kind[id] === kind ? table.bytes[id] : 0), 0),
    );
    const order = table.kinds.map((_, kind) => kind).sort((a, b) => bytes[b] - bytes[a]);
    this.place = table.kinds.map((_, kind) => order.indexOf(kind)); // colours as in the summary: most bytes first
  }

  sum(ids) {
    return ids.reduce((n, id) => n + this.table.bytes[id], 0);
  }

  nodes(colours) {
    this.colours = colours;
    return this.below(this.all, 0, '', 1);
  }

  /** `factor`: how many branches these stand for. */
  below(ids, start, prefix, factor) {
    const found = children(this.table, ids, start).map((entry) => this.node(entry, prefix, factor));
    found.sort((a, b) => b.value - a.value);
    const rest = found.slice(MANY);
    if (!rest.length) return found;
    return [
      ...found.slice(0, MANY),
      {
        name: `${whole(rest.length)} more`,
        full: `${prefix} (${whole(rest.length)} smaller)`,
        value: rest.reduce((n, p) => n + p.value, 0),
        itemStyle: { color: this.colours.soft },
      },
    ];
  }

  /** A run of equal branches is drawn as one of them, with the bytes of all. */
  node(entry, prefix, factor) {
    const name = visible(entry.label) + (entry.parts ? ` × ${entry.parts.length}` : '');
    const full = prefix ? `${prefix} › ${name}` : name;
    const value = this.sum(entry.ids) * factor;
    const color = this.colours.kinds[this.place[this.table.kind[entry.ids[0]]] % this.colours.kinds.length];
    if (entry.leaf)
      return {
        name,
        full,
        value,
        tensor: entry.parts || factor !== 1 ? undefined : entry.ids[0],
        itemStyle: { color },
      };
    if (value * SEEN < this.total) return { name, full, value, itemStyle: { color } };
    const one = entry.parts?.[0] ?? entry;
    const times = this.sum(entry.ids) / (this.sum(one.ids) || 1);
    return { name, full, value, children: this.below(one.ids, one.end, full, factor * times) };
  }

  largest(file) {
    const { names, kinds, kind, shapes, bytes } = this.table;
    const ids = [...this.all].sort((a, b) => bytes[b] - bytes[a] || a - b).slice(0, 20);
    return tableOf(
      'The largest tensors',
      [
        { head: 'name', code: true },
        { head: 'type', code: true },
        { head: 'shape', code: true },
        { head: 'size', number: true },
        { head: 'share', number: true },
      ],
      ids.map((id) => [
        el('a', { href: to('tensor', file, names[id]) }, visible(names[id])),
        visible(kinds[kind[id]]),
        shape(shapes[id]),
        size(bytes[id]),
        percent(bytes[id], this.total),
      ]),
    );
  }
}

function options(colours, data, total) {
  const { base } = frame(colours);
  return {
    ...base,
    tooltip: {
      ...base.tooltip,
      formatter: ({ data: d, value }) => `${d?.full ?? ''}\n${size(value)}, ${percent(value, total)}`,
    },
    series: [
      {
        type: 'treemap',
        data,
        name: 'all',
        roam: false,
        nodeClick: false,
        breadcrumb: { show: false },
        left: 0,
        right: 0,
        top: 4,
        bottom: 0,
        visibleMin: 60,
        leafDepth: null,
        label: { show: true, color: colours.onKind, fontSize: 11, overflow: 'truncate' },
        upperLabel: {
          show: true,
          height: 17,
          color: colours.text,
          backgroundColor: colours.raised,
          fontSize: 11,
          overflow: 'truncate',
        },
        itemStyle: { borderColor: colours.raised, borderWidth: 1, gapWidth: 1 },
        levels: [
          { upperLabel: { show: false }, itemStyle: { borderWidth: 0, gapWidth: 3, borderColor: colours.back } },
        ],
      },
    ],
  };
}
