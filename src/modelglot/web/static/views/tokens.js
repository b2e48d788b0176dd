// The tokenizer's table, a page at a time.

import { get } from '../lib/api.js';
import { el, later, problem, put, table } from '../lib/dom.js';
import { short, visible, whole } from '../lib/text.js';

const PAGE = 200;

export async function show(root, { file }) {
  const state = { from: 0, search: '', turn: 0 };
  const said = el('p', { class: 'soft said', role: 'status' });
  const box = el('div', {});
  const draw = (found) => {
    const end = state.from + found.rows.length;
    const which = state.search
      ? `${whole(found.found)} found of ${whole(found.total)} tokens`
      : `${whole(found.total)} tokens`;
    said.textContent = `${which}${found.kind ? `, ${visible(found.kind)}` : ''}${found.rows.length ? `; ${whole(state.from + 1)} to ${whole(end)} shown` : ''}`;
    before.disabled = state.from === 0;
    after.disabled = end >= found.found;
    box.replaceChildren(rows(found.rows));
  };
  const load = async () => {
    const mine = (state.turn += 1); // only the newest answer is drawn
    const found = await get(`api/tokens/${file}`, { from: state.from, count: PAGE, search: state.search });
    if (mine === state.turn) draw(found);
  };
  const go = (from) => {
    state.from = Math.max(0, from);
    load().catch((error) => box.replaceChildren(problem(error)));
  };
  const find = later(() => {
    state.search = field.value;
    go(0);
  }, 150);
  const field = el('input', {
    type: 'search',
    placeholder: 'text of a token',
    autocomplete: 'off',
    spellcheck: 'false',
    'aria-label': 'Search tokens',
    'aria-keyshortcuts': '/',
    oninput: find,
  });
  const number = el('input', {
    type: 'number',
    min: 0,
    value: 0,
    onchange: () => {
      field.value = state.search = '';
      go(Number(number.value));
    },
  });
  const before = el('button', { type: 'button', class: 'button', onclick: () => go(state.from - PAGE) }, 'Before');
  const after = el('button', { type: 'button', class: 'button', onclick: () => go(state.from + PAGE) }, 'After');
  put(
    root,
    el('h1', { class: 'away' }, 'Tokens'),
    el('div', { class: 'tools' }, field, el('label', {}, 'from number ', number), before, after, said),
    box,
  );
  await load();
}

function rows(found) {
  const typed = found.some(([, , type]) => type !== null);
  const scored = found.some(([, , , score]) => score !== null);
  const columns = [
    { head: 'number', number: true },
    { head: 'token', code: true },
    typed && { head: 'type' },
    scored && { head: 'score', number: true },
  ].filter(Boolean);
  return table(
    'Tokens',
    columns,
    found.map(([id, text, type, score]) => [
      whole(id),
      el('bdi', {}, visible(text)),
      ...(typed ? [visible(type ?? '')] : []),
      ...(scored ? [short(score)] : []),
    ]),
  );
}
