// Tensors by parts of their names, types and shapes.

/** Lower-case names, made once for all searches. */
const lowered = new WeakMap();

function lower(table) {
  if (!lowered.has(table)) lowered.set(table, table.names.map((name) => name.toLowerCase()));
  return lowered.get(table);
}

/**
 * Numbers of the tensors that have every word of `query`: in the name, as the type (`q4_k`), or as the shape
 * (`4096x11008`).
 * @param {import('./group.js').Table} table
 */
export function search(table, query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const names = lower(table);
  const tests = words.map((word) => oneWord(table, names, word));
  const found = [];
  for (let id = 0; id < names.length; id += 1) if (tests.every((test) => test(id))) found.push(id);
  return found;
}

function oneWord(table, names, word) {
  const kind = table.kinds.findIndex((name) => name.toLowerCase() === word);
  const axes = /^\d+(?:x\d+)+$/.test(word) ? word.split('x').map(Number) : null;
  return (id) => names[id].includes(word) || table.kind[id] === kind || (axes !== null && sameShape(table.shapes[id], axes));
}

const sameShape = (a, b) => a.length === b.length && a.every((size, i) => size === b[i]);

/** Orders of the flat list. */
export const ORDERS = {
  file: () => 0,
  size: (table) => (a, b) => table.bytes[b] - table.bytes[a] || a - b,
  name: (table) => (a, b) => (table.names[a] < table.names[b] ? -1 : 1),
};

/** `ids` in an order of `ORDERS`. */
export function ordered(table, ids, order) {
  return order === 'file' ? ids : [...ids].sort(ORDERS[order](table));
}
