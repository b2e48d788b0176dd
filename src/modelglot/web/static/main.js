// The frame of the page: which file, which view, and the keys. Views are loaded when they are opened.

import { get, summary } from './lib/api.js';
import { announce, el, problem } from './lib/dom.js';
import { here, to } from './lib/route.js';
import { visible } from './lib/text.js';
import { themeButton } from './lib/theme.js';

const VIEWS = {
  summary: ['Summary', () => import('./views/summary.js')],
  tensors: ['Tensors', () => import('./views/tensors.js')],
  tensor: [null, () => import('./views/tensor.js')],
  metadata: ['Metadata', () => import('./views/metadata.js')],
  template: ['Template', () => import('./views/template.js')],
  tokens: ['Tokens', () => import('./views/tokens.js')],
  compare: ['Compare', () => import('./views/compare.js')],
  graph: ['Graph', () => import('./views/graph.js')],
};
const main = document.getElementById('main');
let files = [];
let turn = 0; // only the newest opening of a view may draw
let leave = null;

async function start() {
  const keys = import('./lib/keys.js');
  themeButton(document.getElementById('theme'));
  document.getElementById('help').addEventListener('click', help);
  document.getElementById('skip').addEventListener('click', (event) => {
    event.preventDefault(); // the hash is for views
    main.focus();
  });
  if (here().file === 0) summary(0).catch(() => {}); // asked at once, beside the list of files
  try {
    files = (await get('api/files')).files;
  } catch (error) {
    main.replaceChildren(failure(error));
    return;
  }
  addEventListener('hashchange', () => open(true));
  const { globalKeys } = await keys; // before there is something to see: a key pressed then must count
  globalKeys({ '/': search, '?': help, Escape: back, '[': () => step('before'), ']': () => step('after') });
  await open(false);
}

async function help() {
  (await import('./lib/keys.js')).showKeys();
}

async function open(moved) {
  const place = here();
  const mine = (turn += 1);
  if (!VIEWS[place.view] || !files[place.file]) {
    frame({ ...place, file: files[place.file] ? place.file : 0 });
    return settle(
      null,
      failure(new Error(files[place.file] ? 'there is no such view' : 'there is no such file in this page')),
    );
  }
  frame(place);
  try {
    const view = await VIEWS[place.view][1]();
    const root = el('div', { class: `view view-${place.view}` });
    const made = await view.show(root, { ...place, files, moved });
    if (mine === turn) settle(made, root, moved);
    else made?.();
  } catch (error) {
    if (mine === turn) settle(null, failure(error));
  }
}

const failure = (error) => el('div', {}, el('h1', { class: 'away' }, 'Nothing to show'), problem(error));

/** Puts a view in place of the one before; its heading gets the focus where somebody came from elsewhere. */
function settle(stop, root, moved = false) {
  leave?.();
  leave = stop ?? null;
  main.replaceChildren(root);
  root.dispatchEvent(new Event('placed'));
  if (!moved || root.contains(document.activeElement)) return;
  scrollTo(0, 0);
  announce(document.title);
  main.focus({ preventScroll: true });
}

/** Title, file and tabs. */
function frame(place) {
  const file = files[place.file];
  const view = VIEWS[place.view]?.[0] ?? (place.view === 'tensor' ? visible(place.rest) : 'not found');
  document.title = `${view} · ${visible(file.name)} · modelglot`;
  showFile(place, file);
  showTabs(place, null);
  summary(place.file).then(
    (document) => here().file === place.file && showTabs(here(), document),
    () => {},
  );
}

function showFile(place, file) {
  const box = document.getElementById('file');
  if (files.length < 2) {
    box.replaceChildren(el('span', { class: 'file-name', title: visible(file.path) }, visible(file.name)));
    return;
  }
  const choose = el(
    'select',
    {
      'aria-label': 'File',
      onchange: (e) => {
        location.hash = to(
          place.view === 'tensor' ? 'tensor' : place.view === 'compare' ? 'summary' : place.view,
          e.target.value,
          place.view === 'tensor' ? place.rest : '',
        );
      },
    },
    files.map((f, i) => el('option', { value: i }, visible(f.name))),
  );
  choose.value = place.file;
  box.replaceChildren(choose);
}

function showTabs(place, document_) {
  const has = {
    template: document_?.has?.templates > 0,
    tokens: document_?.has?.tokens,
    compare: files.length > 1,
    graph: document_?.graph_view || document_?.graph,
  };
  const current = place.view === 'tensor' ? 'tensors' : place.view;
  const links = Object.entries(VIEWS)
    .filter(([name, [title]]) => title && (!(name in has) || has[name] || name === current))
    .map(([name, [title]]) =>
      el('li', {}, el('a', { href: to(name, place.file), 'aria-current': name === current && 'page' }, title)),
    );
  document.getElementById('tabs').replaceChildren(el('ul', {}, links));
}

function search() {
  const field = main.querySelector('input[type=search]');
  if (field) {
    field.focus();
    field.select();
  } else {
    location.hash = to('tensors', here().file, '/');
  }
}

function back() {
  const { view, file } = here();
  const active = document.activeElement;
  if (active?.matches('input, select')) active.blur();
  else if (view === 'tensor') location.hash = to('tensors', file);
  else if (view !== 'summary') location.hash = to('summary', file);
}

const step = (which) => main.querySelector(`a[data-step=${which}]`)?.click();

start();
