// The heat-map with all around it: axes, scale, buttons, what is seen in words.

import { el, problem, put } from '../lib/dom.js';
import { ordinal, real, short, whole } from '../lib/text.js';
import { drawn } from './axis.js';
import { isDark, ramp, STEPS } from './colours.js';
import { listen } from './input.js';
import { Picture } from './picture.js';

/** @returns {{element: HTMLElement, stop: () => void}} */
export function heatmap(file, name, shape) {
  const picture = new Picture(file, name, shape);
  listen(picture);
  const stage = el('div', { class: 'heat-stage' }, picture.canvas, picture.mark);
  const said = el('p', { class: 'soft', id: 'heat-said' });
  const value = el('output', { class: 'heat-value', id: 'heat-value' });
  const legend = el('div', { class: 'heat-legend' });
  const failed = el('div');
  picture.addEventListener('drawn', () => {
    said.textContent = sentence(picture);
    failed.replaceChildren();
    showLegend(legend, picture);
  });
  picture.addEventListener('cursor', () => {
    value.textContent = valueText(picture);
  });
  picture.addEventListener('failed', (event) => failed.replaceChildren(problem(event.detail)));
  const repaint = () => picture.paint();
  document.addEventListener('themechange', repaint);
  const watch = new ResizeObserver(() => {
    if (picture.width !== picture.drawnFor) picture.whole();
    picture.drawnFor = picture.width;
  });
  watch.observe(stage);
  const element = el('div', { class: 'heat' }, controls(picture), stage, value, legend, said, failed);
  return { element, stop: () => (watch.disconnect(), document.removeEventListener('themechange', repaint)) };
}

function controls(picture) {
  const button = (text, label, work) =>
    el('button', { type: 'button', class: 'button', 'aria-label': label, onclick: work }, text);
  const box = el('div', { class: 'tools' });
  put(
    box,
    axes(picture),
    button('+', 'closer', () => picture.zoom(true)),
    button('−', 'farther', () => picture.zoom(false)),
    button('Whole', 'the whole slice', () => picture.whole()),
    start(picture),
    el(
      'label',
      {},
      'scale ',
      el(
        'select',
        { 'aria-label': 'scale', onchange: (e) => picture.rescale(Number(e.target.value)) },
        el('option', { value: 0.99 }, 'to 99 % of magnitudes'),
        el('option', { value: 1 }, 'to the largest magnitude'),
      ),
    ),
  );
  return box;
}

/** Where the picture begins, as numbers to type. */
function start(picture) {
  const field = (text, axis) => {
    const input = el('input', {
      type: 'number',
      min: 0,
      max: Math.max(0, axis().n - 1 || 0),
      value: 0,
      onchange: () => picture.go(Number(fields[0].value), Number(fields[1].value)),
    });
    return [input, el('label', {}, `${text} from `, input)];
  };
  const made = [field('rows', () => picture.r ?? {}), field('columns', () => picture.c ?? {})];
  const fields = made.map(([input]) => input);
  picture.addEventListener('drawn', () =>
    [picture.r, picture.c].forEach((axis, i) => {
      fields[i].max = axis.n - 1;
      if (document.activeElement !== fields[i]) fields[i].value = axis.start;
    }),
  );
  return made.map(([, label]) => label);
}

/** Which axes are rows and columns, and where on the others: only for tensors that have a choice. */
function axes(picture) {
  const { shape } = picture;
  if (shape.length < 2) return null;
  const change = () =>
    picture.choose(
      Number(rows.value),
      Number(columns.value),
      others.map((o) => Math.max(0, Math.min(Number(o.max), Math.floor(Number(o.value) || 0)))),
    );
  const select = (label, chosen, keep) => {
    const made = el(
      'select',
      { 'aria-label': label, onchange: () => (swap(made, keep()), show(), change()) },
      shape.map((n, i) => el('option', { value: i }, `axis ${i} (${whole(n)})`)),
    );
    made.value = chosen;
    return made;
  };
  const before = { rows: picture.rows, columns: picture.columns };
  const swap = (made, other) => {
    if (rows.value === columns.value) other.value = made === rows ? before.rows : before.columns;
    Object.assign(before, { rows: rows.value, columns: columns.value });
  };
  const rows = select('rows', picture.rows, () => columns);
  const columns = select('columns', picture.columns, () => rows);
  const others = shape.map((n) => el('input', { type: 'number', min: 0, max: n - 1, value: 0, onchange: change }));
  const labels = others.map((input, i) => el('label', {}, `axis ${i} at `, input));
  const show = () =>
    labels.forEach((label, i) => {
      label.hidden = String(i) === rows.value || String(i) === columns.value;
    });
  show();
  return [el('label', {}, 'rows ', rows), el('label', {}, 'columns ', columns), labels];
}

/** What is seen, in words. */
function sentence(picture) {
  const { r, c } = picture.seen;
  const span = (axis, word) => {
    const last = axis.start + (drawn(axis) - 1) * axis.step;
    const which = axis.step > 1 ? `, every ${ordinal(axis.step)}` : '';
    return `${word} ${whole(axis.start)} to ${whole(last)} of ${whole(axis.n)}${which}`;
  };
  const sampled =
    r.step > 1 || c.step > 1
      ? ' This is a sample: values between are not seen, and none are averaged.'
      : ' Every value is seen.';
  const odd = picture.odd ? ` ${whole(picture.odd)} are not finite (NaN is yellow).` : '';
  return `${span(r, 'Rows')}; ${span(c, 'columns')}.${sampled}${odd}`;
}

function valueText(picture) {
  if (!picture.cursor || !picture.seen) return 'Point at a value, or focus the picture and use the arrow keys.';
  const value = picture.value(picture.cursor);
  const index = picture.at.map((at, axis) =>
    axis === picture.rows ? picture.cursor[0] : axis === picture.columns ? picture.cursor[1] : at,
  );
  return `[${index.join(', ')}] = ${value === null ? '…' : real(value)}`;
}

function showLegend(box, picture) {
  const bar = el('canvas', { class: 'heat-bar', width: 2 * STEPS + 1, height: 1, 'aria-hidden': 'true' });
  const image = new ImageData(2 * STEPS + 1, 1);
  const colours = ramp(isDark());
  for (let i = 0; i <= 2 * STEPS; i += 1)
    image.data.set([colours[i * 3], colours[i * 3 + 1], colours[i * 3 + 2], 255], i * 4);
  bar.getContext('2d').putImageData(image, 0, 0);
  const end = short(picture.limit);
  box.replaceChildren(
    el('span', {}, `−${end} or less`),
    bar,
    el('span', {}, `${end} or more`),
    el('span', { class: 'away' }, 'blue is negative, orange is positive'),
  );
}
