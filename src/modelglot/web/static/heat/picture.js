// The picture itself: asks for the window in sight and paints it. Knows axes, not controls.

import { floats } from '../lib/api.js';
import { el, later } from '../lib/dom.js';
import { drawn, fitBoth, moved, zoomed } from './axis.js';
import { isDark, limitOf, NOT_A_NUMBER, place, ramp } from './colours.js';

export class Picture extends EventTarget {
  /**
   * Sends `drawn` after every painting, `cursor` when another value is looked at, `failed` with `detail` an error.
   * @param {number} file @param {string} name @param {number[]} shape
   */
  constructor(file, name, shape) {
    super();
    Object.assign(this, { file, name, shape, share: 0.99, limit: null, values: null, cursor: null });
    this.canvas = el('canvas', {
      class: 'heat-canvas',
      tabindex: 0,
      role: 'application',
      'aria-roledescription': 'heat-map',
      'aria-describedby': 'heat-said heat-value',
      'aria-label': 'Values of the tensor',
    });
    this.mark = el('span', { class: 'heat-mark', hidden: true });
    this.request = later(() => this.load(), 40);
    const around = [...shape.keys()]
      .sort((a, b) => shape[b] - shape[a] || a - b)
      .slice(0, 2)
      .sort((a, b) => a - b);
    this.choose(
      around.length === 2 ? around[0] : -1,
      around.length ? around.at(-1) : -1,
      shape.map(() => 0),
      false,
    );
  }

  /** Axes that are rows and columns (-1: none), and the place on the others. */
  choose(rows, columns, at, load = true) {
    Object.assign(this, { rows, columns, at, limit: null, cursor: null });
    if (load) this.whole();
  }

  whole() {
    const sizes = [this.rows, this.columns].map((axis) => (axis < 0 ? 1 : this.shape[axis]));
    [this.r, this.c] = fitBoth(...sizes, this.height, this.width);
    this.request();
  }

  get width() {
    return Math.max(64, Math.min(1024, Math.floor(this.canvas.parentElement?.clientWidth ?? 640)));
  }

  get height() {
    return this.width < 480 ? 288 : 576;
  }

  zoom(closer, at = this.cursor ?? this.middle()) {
    this.r = zoomed(this.r, closer, at[0]);
    this.c = zoomed(this.c, closer, at[1]);
    this.request();
  }

  pan(rows, columns) {
    this.r = moved(this.r, this.r.start + rows * this.r.step);
    this.c = moved(this.c, this.c.start + columns * this.c.step);
    this.request();
  }

  go(row, column) {
    this.r = moved(this.r, row);
    this.c = moved(this.c, column);
    this.request();
  }

  middle() {
    return [this.r, this.c].map((axis) => axis.start + Math.floor(drawn(axis) / 2) * axis.step);
  }

  async load() {
    this.asked?.abort();
    this.asked = new AbortController();
    const { r, c } = this;
    const slice = [this.rows, this.columns, ...this.at].join();
    const params = {
      name: this.name,
      rows: this.rows,
      cols: this.columns,
      at: this.at.join(','),
      r0: r.start,
      rn: drawn(r),
      rstep: r.step,
      c0: c.start,
      cn: drawn(c),
      cstep: c.step,
    };
    this.canvas.setAttribute('aria-busy', 'true');
    try {
      this.values = await floats(`api/window/${this.file}`, params, this.asked.signal);
      this.seen = { r, c, slice };
      this.limit ??= limitOf(this.values, this.share);
      this.paint();
    } catch (error) {
      if (error.name !== 'AbortError') this.dispatchEvent(new CustomEvent('failed', { detail: error }));
    }
  }

  /** Another scale for what is in sight. */
  rescale(share) {
    this.share = share;
    if (!this.values) return;
    this.limit = limitOf(this.values, share);
    this.paint();
  }

  paint() {
    if (!this.seen) return;
    const { r, c } = this.seen;
    const [rows, columns] = [drawn(r), drawn(c)];
    const image = new ImageData(columns * c.px, rows * r.px);
    const colours = ramp(isDark());
    const pixels = new Uint8ClampedArray(image.data.buffer);
    this.odd = 0;
    for (let i = 0; i < rows; i += 1) for (let j = 0; j < columns; j += 1) this.cell(pixels, colours, i, j, columns);
    this.canvas.width = image.width;
    this.canvas.height = image.height;
    this.canvas.getContext('2d').putImageData(image, 0, 0);
    this.canvas.setAttribute('aria-busy', 'false');
    Object.assign(this.canvas.dataset, {
      limit: this.limit,
      slice: this.seen.slice,
      row: r.start,
      rowStep: r.step,
      rowPixels: r.px,
      column: c.start,
      columnStep: c.step,
      columnPixels: c.px,
    });
    this.point(this.cursor);
    this.dispatchEvent(new Event('drawn'));
  }

  cell(pixels, colours, i, j, columns) {
    const { r, c } = this.seen;
    const value = this.values[i * columns + j];
    if (!Number.isFinite(value)) this.odd += 1;
    const at = place(value, this.limit) * 3;
    const [red, green, blue] = at < 0 ? NOT_A_NUMBER : [colours[at], colours[at + 1], colours[at + 2]];
    for (let y = i * r.px; y < (i + 1) * r.px; y += 1) {
      let to = (y * columns * c.px + j * c.px) * 4;
      for (let x = 0; x < c.px; x += 1, to += 4) {
        pixels[to] = red;
        pixels[to + 1] = green;
        pixels[to + 2] = blue;
        pixels[to + 3] = 255;
      }
    }
  }

  /** The element (row, column) at a pixel of the canvas, as near as there is one. */
  under(x, y) {
    const { r, c } = this.seen;
    const near = (axis, pixel) =>
      axis.start + Math.max(0, Math.min(drawn(axis) - 1, Math.floor(pixel / axis.px))) * axis.step;
    return [near(r, y), near(c, x)];
  }

  /** The value at an element that is drawn, or null. */
  value([row, column]) {
    const { r, c } = this.seen;
    const [i, j] = [(row - r.start) / r.step, (column - c.start) / c.step];
    if (!Number.isInteger(i) || !Number.isInteger(j) || i < 0 || j < 0 || i >= drawn(r) || j >= drawn(c)) return null;
    return this.values[i * drawn(c) + j];
  }

  /** Looks at an element; null looks at none. */
  point(element) {
    this.cursor = element;
    const seen = element && this.seen && this.value(element) !== null;
    this.mark.hidden = !seen;
    if (seen) {
      const { r, c } = this.seen;
      const at = [((element[0] - r.start) / r.step) * r.px, ((element[1] - c.start) / c.step) * c.px];
      const { style } = this.mark;
      [style.top, style.left, style.height, style.width] = [at[0], at[1], r.px, c.px].map((n) => `${n}px`);
    }
    this.dispatchEvent(new Event('cursor'));
  }
}
