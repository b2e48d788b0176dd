// The tree on the page: a virtualised `role=tree` that keys walk through.

import { el } from '../lib/dom.js';
import { to } from '../lib/route.js';
import { VirtualList } from '../lib/virtual.js';
import { drawRow } from './row.js';
import { isBranch, Tree } from './rows.js';

let serial = 0;

const heads = () =>
  el(
    'div',
    { class: 'list-heads', 'aria-hidden': 'true' },
    el('span', { class: 'tree-mark' }),
    el('span', {}, 'name'),
    el('span', { class: 'tree-type' }, 'type'),
    el('span', { class: 'tree-shape' }, 'shape'),
    el('span', { class: 'tree-size' }, 'size'),
  );

export class TreeView {
  /**
   * @param {import('./group.js').Table} table
   * @param {number} file
   */
  constructor(table, file) {
    this.table = table;
    this.file = file;
    this.tree = new Tree(table);
    this.id = `tree${(serial += 1)}`;
    this.flat = null; // numbers of tensors instead of the tree: the search's
    this.words = [];
    this.active = 0;
    this.element = el('div', {
      class: 'tree list',
      role: 'tree',
      tabindex: 0,
      'aria-label': 'Tensors',
      onkeydown: (event) => this.key(event),
      onclick: (event) => this.click(event),
    });
    this.list = new VirtualList(
      this.element,
      (i) => this.row(i),
      heads(),
      () => this.active,
    );
    this.element.addEventListener('focus', () => this.activate(this.active, false));
  }

  get count() {
    return this.flat ? this.flat.length : this.tree.rows.length;
  }

  /** @returns {import('./rows.js').Row} */
  at(index) {
    if (!this.flat) return this.tree.rows[index];
    const id = this.flat[index];
    return {
      label: this.table.names[id],
      ids: [id],
      leaf: true,
      level: 1,
      place: index + 1,
      of: this.flat.length,
      open: false,
    };
  }

  /** Shows the tree, or these tensors as a flat list. */
  show(flat = null, words = []) {
    this.flat = flat;
    this.words = words;
    this.active = 0;
    this.element.scrollTop = 0;
    this.refresh();
  }

  refresh() {
    this.list.refresh(this.count);
    this.mark();
  }

  row(index) {
    const row = drawRow(this, this.at(index), index === this.active);
    row.id = `${this.id}-${index}`;
    row.dataset.index = index;
    return row;
  }

  click(event) {
    const item = event.target.closest('[role=treeitem]');
    if (!item) return;
    const index = Number(item.dataset.index);
    this.activate(index, false);
    if (isBranch(this.at(index))) this.toggle(index);
    else if (!event.target.closest('a')) this.enter(index);
  }

  enter(index) {
    const row = this.at(index);
    if (isBranch(row)) this.toggle(index);
    else location.hash = to('tensor', this.file, this.table.names[row.ids[0]]);
  }

  toggle(index, open = undefined) {
    this.tree.toggle(this.at(index), open);
    this.refresh();
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.list.room / this.list.row) - 1);
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    const row = this.at(this.active);
    if (event.ctrlKey || event.metaKey || event.altKey || !row) return;
    if (event.key in moves) this.activate(this.active + moves[event.key]);
    else if (event.key === 'Enter' || event.key === ' ') this.enter(this.active);
    else if (event.key === 'ArrowRight') this.right(row);
    else if (event.key === 'ArrowLeft') this.left(row);
    else return;
    event.preventDefault();
  }

  right(row) {
    if (!isBranch(row)) return;
    if (row.open) this.activate(this.active + 1);
    else this.toggle(this.active, true);
  }

  left(row) {
    if (row.open) {
      this.toggle(this.active, false);
      return;
    }
    for (let i = this.active - 1; i >= 0; i -= 1) {
      if (this.at(i).level < row.level) {
        this.activate(i);
        return;
      }
    }
  }

  activate(index, reveal = true) {
    const before = this.list.shown.get(this.active);
    before?.classList.remove('active');
    before?.setAttribute('aria-selected', 'false');
    this.active = Math.max(0, Math.min(this.count - 1, index));
    if (reveal) this.list.reveal(this.active);
    this.mark();
  }

  mark() {
    const row = this.list.shown.get(this.active);
    if (!row) {
      this.element.removeAttribute('aria-activedescendant');
      return;
    }
    row.classList.add('active');
    row.setAttribute('aria-selected', 'true');
    this.element.setAttribute('aria-activedescendant', row.id);
  }
}
