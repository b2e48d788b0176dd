// Pointer, wheel and keys on the picture.

import { drawn, moved } from './axis.js';

const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/** @param {import('./picture.js').Picture} picture */
export function listen(picture) {
  const { canvas } = picture;
  canvas.addEventListener('keydown', (event) => key(picture, event));
  canvas.addEventListener('pointermove', (event) => picture.seen && !picture.held && picture.point(at(picture, event)));
  canvas.addEventListener(
    'pointerleave',
    () => picture.held || document.activeElement === canvas || picture.point(null),
  );
  canvas.addEventListener(
    'focus',
    () => picture.seen && !picture.cursor && picture.point([picture.seen.r.start, picture.seen.c.start]),
  );
  canvas.addEventListener('wheel', (event) => wheel(picture, event), { passive: false });
  drag(picture);
}

function at(picture, event) {
  const box = picture.canvas.getBoundingClientRect();
  return picture.under(event.clientX - box.left, event.clientY - box.top);
}

/** Pinching on a touch pad comes as a wheel with Ctrl; a plain wheel scrolls the page unless the picture has the focus. */
function wheel(picture, event) {
  if (!picture.seen || !(event.ctrlKey || document.activeElement === picture.canvas)) return;
  event.preventDefault();
  picture.zoom(event.deltaY < 0, at(picture, event));
}

function drag(picture) {
  const { canvas } = picture;
  canvas.addEventListener('pointerdown', (event) => {
    if (!picture.seen || event.button) return;
    canvas.setPointerCapture(event.pointerId);
    picture.held = { x: event.clientX, y: event.clientY, r: picture.r, c: picture.c };
    picture.point(at(picture, event));
  });
  canvas.addEventListener('pointermove', ({ clientX, clientY }) => {
    if (!picture.held) return;
    const { x, y, r, c } = picture.held;
    picture.go(r.start - ((clientY - y) / r.px) * r.step, c.start - ((clientX - x) / c.px) * c.step);
  });
  for (const end of ['pointerup', 'pointercancel']) {
    canvas.addEventListener(end, () => {
      picture.held = null;
    });
  }
}

function key(picture, event) {
  if (!picture.seen || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key in ARROWS) step(picture, ARROWS[event.key], event.shiftKey);
  else if (event.key === '+' || event.key === '=') picture.zoom(true);
  else if (event.key === '-') picture.zoom(false);
  else if (event.key === '0') picture.whole();
  else return;
  event.preventDefault();
}

/** One value on, and the picture follows; half a picture with Shift. */
function step(picture, [down, right], half) {
  const { r, c } = picture.seen;
  const by = (axis, sign) => sign * (half ? Math.max(1, Math.floor(drawn(axis) / 2)) : 1) * axis.step;
  const [row, column] = picture.cursor ?? [r.start, c.start];
  const next = [kept(r, row + by(r, down)), kept(c, column + by(c, right))];
  picture.point(next);
  const [nr, nc] = [follow(r, next[0]), follow(c, next[1])];
  if (nr.start !== r.start || nc.start !== c.start) picture.go(nr.start, nc.start);
}

/** Within the axis, on an element that is drawn at this step. */
function kept(axis, element) {
  const last = axis.start + Math.floor((axis.n - 1 - axis.start) / axis.step) * axis.step;
  return Math.max(axis.start % axis.step, Math.min(last, element));
}

function follow(axis, element) {
  const end = axis.start + drawn(axis) * axis.step;
  if (element < axis.start) return moved(axis, element);
  return element >= end ? moved(axis, axis.start + (element - end) + axis.step) : axis;
}
