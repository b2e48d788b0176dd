// One axis of the picture: which of its elements are drawn, and how large. Values are never changed in place.

/**
 * @typedef {{n: number, pixels: number, start: number, step: number, px: number}} Axis
 *   of `n` elements those at start, start + step ... are drawn, each `px` pixels wide; one of step and px is 1
 */

export const LARGEST = 32;

/** @returns {Axis} the whole axis: every element where there is room, else every step-th */
export function fit(n, pixels) {
  if (n <= pixels)
    return { n, pixels, start: 0, step: 1, px: Math.min(LARGEST, Math.max(1, Math.floor(pixels / Math.max(1, n)))) };
  return { n, pixels, start: 0, step: Math.ceil(n / pixels), px: 1 };
}

/** Rows and columns that fit; cells are square where they are large enough to look at one by one. */
export function fitBoth(rows, columns, height, width) {
  const r = fit(rows, height);
  const c = fit(columns, width);
  const px = Math.min(r.px, c.px);
  return px >= 4
    ? [
        { ...r, px },
        { ...c, px },
      ]
    : [r, c];
}

/** @param {Axis} axis @returns {number} how many elements are drawn */
export const drawn = (axis) =>
  Math.min(Math.floor(axis.pixels / axis.px), Math.ceil((axis.n - axis.start) / axis.step));

/** @returns {Axis} begins at `start`, or as near as leaves no gap at the end */
export function moved(axis, start) {
  const room = Math.floor(axis.pixels / axis.px) * axis.step;
  return { ...axis, start: Math.max(0, Math.min(Math.round(start), axis.n - Math.min(room, axis.n))) };
}

/** @returns {Axis} twice as close, or as far, with `element` staying where it is */
export function zoomed(axis, closer, element) {
  const next = closer ? nearer(axis) : farther(axis);
  const place = ((element - axis.start) / axis.step) * axis.px;
  return moved(next, element - Math.floor(place / next.px) * next.step);
}

function nearer(axis) {
  if (axis.step > 1) return { ...axis, step: Math.ceil(axis.step / 2) };
  return { ...axis, px: Math.min(LARGEST, axis.px * 2) };
}

function farther(axis) {
  const whole = fit(axis.n, axis.pixels);
  if (axis.px > whole.px) return { ...axis, px: Math.max(whole.px, Math.floor(axis.px / 2)) };
  return { ...axis, step: Math.min(whole.step, axis.step * 2) };
}
