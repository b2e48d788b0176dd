// A list of any length of which only the rows in sight exist.

import { el } from './dom.js';

const AROUND = 8; // rows drawn above and below, so that scrolling shows no gap

export class VirtualList {
  /**
   * @param {HTMLElement} scroller has a height of its own and scrolls
   * @param {(index: number) => HTMLElement} render makes a row
   * @param {HTMLElement} heads names of the columns, which stay in sight
   * @param {() => number} keep a row that is drawn wherever it is (the one a screen reader is at), or -1
   */
  constructor(scroller, render, heads, keep = () => -1) {
    Object.assign(this, { scroller, render, heads, keep, count: 0, shown: new Map() });
    this.inner = el('div', { class: 'virtual', role: 'none' });
    scroller.append(heads, this.inner);
    scroller.addEventListener('scroll', () => this.request(), { passive: true });
    this.watch = new ResizeObserver(() => this.refresh());
    this.watch.observe(scroller);
  }

  /** Pixels for rows. */
  get room() {
    return Math.max(0, this.scroller.clientHeight - this.heads.offsetHeight);
  }

  get rowHeight() {
    return parseFloat(getComputedStyle(this.scroller).getPropertyValue('--row')) || 24;
  }

  /** Redraws; `count` rows from now on. */
  refresh(count = this.count) {
    this.count = count;
    this.row = this.rowHeight;
    this.inner.style.height = `${count * this.row}px`;
    this.scroller.style.setProperty('--content', `${count * this.row + this.heads.offsetHeight + 2}px`);
    this.inner.replaceChildren();
    this.shown.clear();
    this.draw();
  }

  request() {
    this.asked ??= requestAnimationFrame(() => {
      this.asked = undefined;
      this.draw();
    });
  }

  draw() {
    const top = Math.floor(this.scroller.scrollTop / this.row);
    const first = Math.max(0, top - AROUND);
    const last = Math.min(this.count, top + Math.ceil(this.room / this.row) + AROUND);
    const kept = this.keep();
    for (const [index, row] of this.shown) {
      if ((index < first || index >= last) && index !== kept) {
        row.remove();
        this.shown.delete(index);
      }
    }
    for (let index = first; index < last; index += 1) this.show(index);
    if (kept >= 0 && kept < this.count) this.show(kept);
  }

  show(index) {
    if (this.shown.has(index)) return;
    const row = this.render(index);
    row.classList.add('row');
    row.style.transform = `translateY(${index * this.row}px)`;
    this.shown.set(index, row);
    const after = [...this.shown].filter(([other]) => other > index).sort((a, b) => a[0] - b[0])[0];
    this.inner.insertBefore(row, after ? after[1] : null);
  }

  /** Scrolls as little as brings the row into sight. */
  reveal(index) {
    const top = index * this.row;
    const { scrollTop } = this.scroller;
    if (top < scrollTop) this.scroller.scrollTop = top;
    else if (top + this.row > scrollTop + this.room) this.scroller.scrollTop = top + this.row - this.room;
    this.draw();
  }

  stop() {
    this.watch.disconnect();
  }
}
