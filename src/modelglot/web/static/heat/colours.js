// Colours of values: blue below zero, orange above, which all kinds of colour vision tell apart; the magnitude is
// in the lightness, so a grey print has it too. What is no number is yellow.

const LIGHT = {
  zero: [246, 246, 246],
  negative: [
    [46, 116, 196],
    [12, 45, 107],
  ],
  positive: [
    [222, 120, 31],
    [112, 44, 5],
  ],
};
const DARK = {
  zero: [36, 40, 45],
  negative: [
    [64, 132, 222],
    [190, 222, 255],
  ],
  positive: [
    [226, 126, 46],
    [255, 226, 184],
  ],
};
export const NOT_A_NUMBER = [255, 208, 0];
export const STEPS = 255;

/**
 * 2 * 255 + 1 colours from the most negative to the most positive, RGB in a row.
 * @param {boolean} dark
 */
export function ramp(dark) {
  const { zero, negative, positive } = dark ? DARK : LIGHT;
  const colours = new Uint8ClampedArray((2 * STEPS + 1) * 3);
  for (let i = -STEPS; i <= STEPS; i += 1) {
    const [middle, end] = i < 0 ? negative : positive;
    const t = Math.abs(i) / STEPS;
    for (let c = 0; c < 3; c += 1) {
      colours[(i + STEPS) * 3 + c] =
        t < 0.5 ? between(zero[c], middle[c], t * 2) : between(middle[c], end[c], t * 2 - 1);
    }
  }
  return colours;
}

const between = (a, b, t) => a + (b - a) * t;

/** Place of `value` in the ramp, for a scale that ends at ±limit; -1 for what is no number. */
export function place(value, limit) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? -1 : value > 0 ? 2 * STEPS : 0;
  const t = limit > 0 ? Math.max(-1, Math.min(1, value / limit)) : 0;
  return Math.round(t * STEPS) + STEPS;
}

/** Magnitude that `share` of the finite values do not exceed; 0 where there are none. */
export function limitOf(values, share) {
  const sizes = values.filter(Number.isFinite).map(Math.abs).sort();
  return sizes.length ? sizes[Math.min(sizes.length - 1, Math.floor(sizes.length * share))] : 0;
}

/** Whether the page is dark now. */
export function isDark() {
  const theme = document.documentElement.dataset.theme;
  return theme ? theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
}
