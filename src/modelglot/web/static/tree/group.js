// Branches of tensor names, one level at a time: a model with 100,000 tensors has no tree until a branch is opened.

/**
 * @typedef {{names: string[], kinds: string[], kind: number[], shapes: number[][], bytes: number[], tied: number[][]}} Table
 * @typedef {{label: string, ids: number[], end: number, leaf: boolean, parts?: Entry[], various?: boolean}} Entry
 *   `ids` are the tensors below; names below go on at character `end`; `parts` are what a run of siblings stands for
 */

const LOOSE_FROM = 5; // this many different structures among numbered siblings are shown as one run, "various"

/** The entries below `ids`, whose names agree up to `start`; runs of equal numbered siblings are one entry. */
export function children(table, ids, start) {
  const entries = siblings(table, ids, start).map((entry) => joined(table, entry, true));
  return collapsed(table, entries).map((entry) => (entry.parts ? entry : joined(table, entry)));
}

function siblings(table, ids, start) {
  const found = new Map();
  for (const id of ids) {
    const name = table.names[id];
    const end = segmentEnd(name, start);
    const leaf = end >= name.length;
    const label = name.slice(start, end);
    const key = leaf ? `${label}/` : label; // no label has a slash, so a tensor and a branch of one name stay apart
    const entry = found.get(key);
    if (entry) entry.ids.push(id);
    else found.set(key, { label, ids: [id], end: leaf ? end : end + 1, leaf });
  }
  return [...found.values()];
}

function segmentEnd(name, start) {
  for (let i = start; i < name.length; i += 1) {
    const c = name.charCodeAt(i);
    if (c === 46 || c === 47) return i;
  }
  return name.length;
}

/** A branch with one child is one line: `attn.weight`. `numbered` ones are left alone where runs are looked for. */
export function joined(table, entry, numbered = false) {
  while (!entry.leaf && !(numbered && /\d$/.test(entry.label))) {
    const below = siblings(table, entry.ids, entry.end);
    if (below.length !== 1) return entry;
    const between = table.names[entry.ids[0]][entry.end - 1];
    entry = { ...below[0], label: entry.label + between + below[0].label };
  }
  return entry;
}

function collapsed(table, entries) {
  const groups = new Map();
  for (const entry of entries) {
    const match = /^(.*?)(\d{1,9})$/.exec(entry.label);
    if (!match) continue;
    const key = `${match[1]}${entry.leaf ? '/' : ''}`;
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push({ entry, prefix: match[1], number: Number(match[2]) });
  }
  const replaced = new Map();
  for (const group of groups.values()) {
    inOrder(entries, group);
    if (group.length > (group[0].prefix ? 2 : 1)) for (const run of runs(table, group)) replace(replaced, run);
  }
  return entries.map((e) => (replaced.has(e) ? replaced.get(e) : e)).filter(Boolean);
}

/** `2` before `10`, in the places that the group's members have. */
function inOrder(entries, group) {
  const members = new Set(group.map((m) => m.entry));
  const places = entries.map((e, i) => (members.has(e) ? i : -1)).filter((i) => i >= 0);
  group
    .sort((a, b) => a.number - b.number)
    .forEach((m, i) => {
      entries[places[i]] = m.entry;
    });
}

function replace(replaced, run) {
  run.parts.forEach((part, i) => replaced.set(part, i ? null : run));
}

function runs(table, group) {
  const exact = classes(group, (entry) => structure(table, entry, true));
  const various = exact.length >= LOOSE_FROM;
  const found = various ? classes(group, (entry) => structure(table, entry, false)) : exact;
  return found
    .filter((members) => members.length > 1)
    .map((members) => ({
      label: `${members[0].prefix}${ranges(members.map((m) => m.number))}`,
      ids: members.flatMap((m) => m.entry.ids),
      end: members[0].entry.end,
      leaf: members[0].entry.leaf,
      parts: members.map((m) => m.entry),
      various,
    }));
}

function classes(group, keyOf) {
  const found = new Map();
  for (const member of group) {
    const key = keyOf(member.entry);
    if (!found.has(key)) found.set(key, []);
    found.get(key).push(member);
  }
  return [...found.values()];
}

/** Equal for two branches exactly when they have the same names (and types and shapes) below. */
function structure(table, { ids, end }, exact) {
  const lines = ids.map((id) => {
    const rest = table.names[id].slice(end);
    return exact ? `${rest}\u0000${table.kind[id]}\u0000${table.shapes[id].join()}` : rest;
  });
  return lines.sort().join('\u0001');
}

/** `0..3, 8` from 0, 1, 2, 3, 8. */
export function ranges(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const parts = [];
  for (let i = 0; i < sorted.length;) {
    let j = i;
    while (j + 1 < sorted.length && sorted[j + 1] === sorted[j] + 1) j += 1;
    parts.push(j > i ? `${sorted[i]}${j > i + 1 ? '..' : ', '}${sorted[j]}` : `${sorted[i]}`);
    i = j + 1;
  }
  return parts.length <= 6 ? parts.join(', ') : `${parts.slice(0, 4).join(', ')}, … ${parts.at(-1)}`;
}
