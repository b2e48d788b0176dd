// Tensors by parts of their names, types and shapes.

const lowered = new WeakMap();

/** Lower-case names, made once for all searches. */
export function lower(table) {
  if (!lowered.has(table))
    lowered.set(
      table,
      table.names.map((name) => name.toLowerCase()),
    );
  return lowered.get(table);
}

/**
 * Numbers of the tensors that have every word of `query`: in the name, as the type (`q4_k`), or as the shape
 * (`4096x11008`).
 * @param {import('./group.js').Table} table
 */
export function search(table, query) {
  const names = lower(table);
  let found = names.map((_, id) => id);
  for (const word of query.toLowerCase().split(/\s+/).filter(Boolean)) found = having(table, names, found, word);
  return found;
}

function having(table, names, ids, word) {
  const kind = table.kinds.findIndex((name) => name.toLowerCase() === word);
  const axes = /^\d+(?:x\d+)+$/.test(word) ? word.split('x').map(Number) : null;
  const found = [];
  for (const id of ids) {
    if (names[id].includes(word) || table.kind[id] === kind || (axes && sameShape(table.shapes[id], axes)))
      found.push(id);
  }
  return found;
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
