// All tensors: the tree, a flat list, a map of sizes; one search for them.

import { tensors } from '../lib/api.js';
import { announce, el, later, problem, put } from '../lib/dom.js';
import { plural, size } from '../lib/text.js';
import { lower, ordered, search } from '../tree/search.js';
import { TreeView } from '../tree/view.js';

const visited = new Map(); // by file: where somebody was comes back with them

class Tensors {
  constructor(table, file) {
    this.table = table;
    this.file = file;
    this.view = new TreeView(table, file);
    this.total = table.bytes.reduce((a, b) => a + b, 0);
    this.search = el('input', {
      type: 'search',
      id: 'search',
      placeholder: 'name, type or 4096x4096',
      autocomplete: 'off',
      spellcheck: 'false',
      'aria-label': 'Search tensors',
      'aria-keyshortcuts': '/',
      oninput: later(() => this.update(), 30),
      onkeydown: (e) => this.key(e),
    });
    this.order = el(
      'select',
      { 'aria-label': 'Arrangement', onchange: () => this.update() },
      [
        ['tree', 'tree'],
        ['file', 'list, as in the file'],
        ['size', 'list, largest first'],
        ['name', 'list, by name'],
      ].map(([v, t]) => el('option', { value: v }, t)),
    );
    this.said = el('p', { class: 'soft said', role: 'status' });
    this.map = el('details', { class: 'map', ontoggle: () => this.drawMap() }, el('summary', {}, 'Map of sizes'));
    this.update();
    setTimeout(() => lower(table), 100); // so that the first search does not wait for it
  }

  /** The rows for what is typed and chosen. */
  update() {
    const query = this.search.value.trim();
    performance.mark('search-from');
    const ids = query || this.order.value !== 'tree' ? search(this.table, query) : null;
    const order = this.order.value === 'tree' ? 'file' : this.order.value;
    this.view.show(ids && ordered(this.table, ids, order), query.toLowerCase().split(/\s+/).filter(Boolean));
    performance.measure('modelglot-search', 'search-from');
    const bytes = ids ? ids.reduce((sum, id) => sum + this.table.bytes[id], 0) : this.total;
    this.said.textContent =
      ids && query
        ? `${plural(ids.length, 'tensor')} found, ${size(bytes)}`
        : `${plural(this.table.names.length, 'tensor')}, ${size(bytes)}`;
  }

  key(event) {
    if (event.key === 'ArrowDown' || event.key === 'Enter') {
      event.preventDefault();
      this.view.element.focus({ preventScroll: true });
    } else if (event.key === 'Escape' && this.search.value) {
      event.preventDefault();
      this.search.value = '';
      this.update();
    }
  }

  async drawMap() {
    if (!this.map.open || this.drawn) return;
    this.drawn = true;
    try {
      const { sizes } = await import('./sizes.js');
      this.map.append(sizes(this.table, this.file));
    } catch (error) {
      this.map.append(problem(error));
    }
  }
}

export async function show(root, { file, rest }) {
  const table = await tensors(file);
  if (!visited.has(file)) visited.set(file, new Tensors(table, file));
  const state = visited.get(file);
  const top = state.view.element.scrollTop || state.top || 0;
  put(
    root,
    el('h1', { class: 'away' }, 'Tensors'),
    el('div', { class: 'tools' }, state.search, state.order, state.said),
    state.map,
    table.names.length ? state.view.element : el('p', { class: 'soft' }, 'There are no tensors in this file.'),
  );
  root.addEventListener('placed', () => {
    state.view.element.scrollTop = top;
    state.view.refresh();
    if (rest === '/') state.search.focus();
  });
  announce(state.said.textContent);
  return () => {
    state.top = state.view.element.scrollTop;
  };
}
