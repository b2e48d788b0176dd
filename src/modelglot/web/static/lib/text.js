// Numbers and names as people read them.

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];
const COUNTS = ['', 'K', 'M', 'B', 'T'];

function scaled(value, units) {
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : 1;
  return `${value.toFixed(digits)} ${units[unit]}`.trim();
}

/** Bytes in decimal units: `2.1 GB`. */
export const size = (bytes) => scaled(bytes, UNITS);
/** `135 M`; small numbers in full. */
export const human = (count) => (count < 10000 ? whole(count) : scaled(count, COUNTS));
export const whole = (count) => Number(count).toLocaleString('en-US');
export const plural = (count, word) => `${whole(count)} ${word}${count === 1 ? '' : 's'}`;
/** `2nd`, `13th`, `1,001st`. */
export function ordinal(n) {
  const teen = n % 100 > 10 && n % 100 < 14;
  return whole(n) + (teen ? 'th' : (['th', 'st', 'nd', 'rd'][n % 10] ?? 'th'));
}

export const shape = (axes) => `[${axes.join(', ')}]`;
export const percent = (part, all) =>
  all ? `${((part / all) * 100).toFixed(part && part / all < 0.1 ? 1 : 0)} %` : '';

/** A value as short as tells it from all others of its precision: float32 where it fits, as values of tensors do. */
export function real(value) {
  if (value === null || value === undefined) return '';
  if (typeof value !== 'number' || !Number.isFinite(value)) return String(value).replace('Infinity', 'inf');
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return whole(value);
  const single = Math.fround(value) === value;
  for (let digits = 1; digits < 17; digits += 1) {
    const near = Number(value.toPrecision(digits));
    if (near === value || (single && Math.fround(near) === value)) return written(near);
  }
  return written(value);
}

const written = (value) => (Math.abs(value) < 1e-4 && value ? value.toExponential() : String(value));

/** Four digits, for tables and sentences. */
export function short(value) {
  return value === null || value === undefined || !Number.isFinite(value)
    ? real(value)
    : written(Number(value.toPrecision(4)));
}

// Control characters, and those that turn the direction of text or have no width
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;
const NAMED = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** Text from a file for one line: what would not be seen, or would disturb what is, appears as its escape. */
export function visible(text) {
  return String(text)
    .toWellFormed()
    .replace(UNSEEN, (c) => NAMED[c] ?? `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** The same for text of many lines. */
export function visibleLines(text) {
  return String(text)
    .split(/(\r\n|\n|\t)/)
    .map((part, i) => (i % 2 ? part : visible(part)))
    .join('');
}
