// One tensor: what is known of it, and what its values are like.

import { get, summary, tensors } from '../lib/api.js';
import { disposeCharts } from '../lib/charts.js';
import { el, facts, problem, put, section } from '../lib/dom.js';
import { to } from '../lib/route.js';
import { shape, size, visible, whole } from '../lib/text.js';
import { spectrum } from './spectrum.js';
import { statistics } from './statistics.js';

const AT_ONCE = 64e6; // bytes that are read for statistics without being asked
const TIES = 50; // names that are listed

export async function show(root, { file, rest: name }) {
  const [tensor, about] = await Promise.all([get(`api/tensor/${file}`, { name }), summary(file)]);
  const drawn = tensor.window.ok && !tensor.shape.includes(0);
  const heat = el('div', { class: 'heat-place' });
  put(
    root,
    el('p', { class: 'crumbs' }, el('a', { href: to('tensors', file) }, 'Tensors'), steps(file, name)),
    el('h1', { class: 'name' }, visible(tensor.name)),
    facts(what(tensor, about, file), 'wide'),
    tensor.missing && problem(new Error(`its bytes are missing: ${visible(tensor.missing)}`)),
    section('Values', drawn ? heat : el('p', { class: 'soft' }, visible(tensor.window.why ?? 'There are no values.'))),
    tensor.numbers && [
      statistics(file, tensor, tensor.bytes <= AT_ONCE),
      tensor.shape.length > 1 && spectrum(file, tensor),
    ],
  );
  let stop = () => {};
  root.addEventListener('placed', async () => {
    if (!drawn) return;
    const { heatmap } = await import('../heat/panel.js');
    if (!root.isConnected) return; // somebody went on
    const made = heatmap(file, name, tensor.shape);
    heat.append(made.element);
    stop = made.stop;
  });
  return () => {
    stop();
    disposeCharts(root);
  };
}

function what(tensor, about, file) {
  const stored = about.files[tensor.file];
  const place = stored && tensor.offset !== undefined ? `${visible(stored.name)}, byte ${whole(tensor.offset)}` : null;
  return [
    ['type', visible(tensor.type)],
    ['shape', tensor.shape.length ? shape(tensor.shape) : 'a scalar'],
    ['elements', whole(tensor.shape.reduce((a, b) => a * b, 1))],
    ['size', `${size(tensor.bytes)} (${whole(tensor.bytes)} bytes)`],
    ['place', place],
    ['strides', tensor.strides && shape(tensor.strides)],
    ['compressed', tensor.codec && visible(tensor.codec)],
    ['same bytes as', tensor.ties.length ? ties(tensor.ties, file) : null],
  ];
}

function ties(names, file) {
  const links = names.slice(0, TIES).map((n) => el('a', { class: 'tie', href: to('tensor', file, n) }, visible(n)));
  return [links, names.length > TIES && `and ${whole(names.length - TIES)} more`];
}

/** The tensor before and the one after, once the names are there. */
function steps(file, name) {
  const box = el('span', { class: 'steps' });
  tensors(file).then(
    ({ names }) => {
      const at = names.indexOf(name);
      const link = (which, text, id) =>
        names[id] !== undefined &&
        el('a', { href: to('tensor', file, names[id]), 'data-step': which, title: visible(names[id]) }, text);
      if (at >= 0)
        put(
          box,
          link('before', '‹ before', at - 1),
          link('after', 'after ›', at + 1),
          el('span', { class: 'soft' }, `${whole(at + 1)} of ${whole(names.length)}`),
        );
    },
    () => {},
  );
  return box;
}
