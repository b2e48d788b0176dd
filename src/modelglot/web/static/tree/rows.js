// The open part of the tree as rows of a list.

import { children, joined } from './group.js';

const FEW = 24; // rows that a tree begins with at most
const MANY = 5000; // tensors of a branch that nobody asked to open

/**
 * @typedef {import('./group.js').Entry & {key: string, level: number, place: number, of: number, open: boolean}} Row
 */

export class Tree {
  /** @param {import('./group.js').Table} table */
  constructor(table) {
    this.table = table;
    this.open = new Set();
    this.below = new Map();
    this.rows = [];
    this.flatten();
    this.openSmall();
  }

  /** Opens branches from the top as long as all rows stay in sight. */
  openSmall() {
    for (let i = 0; i < this.rows.length; i += 1) {
      const row = this.rows[i];
      if (row.leaf || row.parts || row.ids.length > MANY) continue;
      if (this.rows.length + this.childrenOf(row).length <= FEW) this.toggle(row, true);
    }
  }

  /** Children of the root or of a row, made once. */
  childrenOf(row) {
    const key = row ? row.key : '';
    if (!this.below.has(key)) {
      this.below.set(key, this.made(row));
    }
    return this.below.get(key);
  }

  made(row) {
    if (row?.parts) return row.parts.map((part) => joined(this.table, part));
    return children(this.table, row ? row.ids : this.table.names.map((_, i) => i), row ? row.end : 0);
  }

  flatten() {
    this.rows = [];
    this.append(null, 1);
    return this.rows;
  }

  append(parent, level) {
    const entries = this.childrenOf(parent);
    entries.forEach((entry, i) => {
      const key = this.keyOf(entry);
      const row = { ...entry, key, level, place: i + 1, of: entries.length, open: this.open.has(key) };
      this.rows.push(row);
      if (row.open) this.append(row, level + 1);
    });
  }

  keyOf(entry) {
    const name = this.table.names[entry.ids[0]].slice(0, entry.end);
    return `${entry.parts ? 'run' : entry.leaf ? 'tensor' : 'branch'} ${name} ${entry.parts ? entry.label : ''}`;
  }

  toggle(row, open = !row.open) {
    if (open) this.open.add(row.key);
    else this.open.delete(row.key);
    this.flatten();
  }
}

/** @returns {boolean} whether the row can be opened in place: everything but a single tensor */
export const isBranch = (row) => !row.leaf || Boolean(row.parts);
