// Keys of the whole page, and the dialog that lists all keys.

import { el } from './dom.js';

const KEYS = [
  ['/', 'search in this view, or in the tensors'],
  ['Escape', 'back: out of the search, from a tensor to the list'],
  ['[  ]', 'the tensor before, the one after'],
  ['?', 'this list'],
  ['↑ ↓ Home End', 'in the tree: move'],
  ['→ ←', 'in the tree: open, close'],
  ['Enter', 'in the tree: open a tensor or a branch'],
  ['↑ ↓ → ←', 'in the heat-map: move from value to value'],
  ['+  -  0', 'in the heat-map: closer, farther, the whole'],
  ['Shift ↑ ↓ → ←', 'in the heat-map: pan'],
];

const typing = (target) => target instanceof Element && target.closest('input, select, textarea, [contenteditable]');

/** @param {Record<string, () => void>} actions by key; those of `Escape` and `/` see typing as well */
export function globalKeys(actions) {
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (document.querySelector('dialog[open]')) return;
    if (typing(event.target) && event.key !== 'Escape') return;
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action(event);
  });
}

/** Opens the list of keys; closing gives the focus back. */
export function showKeys() {
  const dialog = el(
    'dialog',
    { 'aria-labelledby': 'keys-title', onclose: () => dialog.remove() },
    el('h2', { id: 'keys-title' }, 'Keys'),
    el(
      'dl',
      { class: 'keys' },
      KEYS.map(([key, what]) => el('div', {}, el('dt', {}, el('kbd', {}, key)), el('dd', {}, what))),
    ),
    el(
      'form',
      { method: 'dialog' },
      el('button', { type: 'button', class: 'button', onclick: () => dialog.close() }, 'Close'),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
}
