// Apache ECharts, loaded when the first chart is wanted.

import { el } from './dom.js';
import { colour } from './theme.js';

let library;

function load() {
  library ??= import('../vendor/echarts.min.js').then(() => globalThis.echarts);
  return library;
}

/** The colours of the page, for options of charts. */
export function palette() {
  const kinds = Array.from({ length: 8 }, (_, i) => colour(`--k${i}`));
  return {
    text: colour('--text'),
    soft: colour('--soft'),
    line: colour('--line'),
    back: colour('--back'),
    raised: colour('--raised'),
    onKind: colour('--on-kind'),
    accent: colour('--accent'),
    kinds,
  };
}

/** What all charts share: no animation, text in the tooltips (never HTML), quiet axes. */
export function frame(colours) {
  const axis = {
    axisLine: { lineStyle: { color: colours.line } },
    axisTick: { lineStyle: { color: colours.line } },
    axisLabel: { color: colours.soft, fontSize: 11 },
    splitLine: { lineStyle: { color: colours.line, opacity: 0.6 } },
    nameTextStyle: { color: colours.soft, fontSize: 11 },
    nameLocation: 'middle',
  };
  return {
    axis,
    base: {
      animation: false,
      textStyle: { color: colours.text, fontFamily: 'system-ui, sans-serif' },
      grid: { left: 56, right: 16, top: 16, bottom: 40 },
      tooltip: {
        renderMode: 'richText',
        confine: true,
        backgroundColor: colours.back,
        borderColor: colours.line,
        textStyle: { color: colours.text, fontSize: 12 },
      },
    },
  };
}

/**
 * A box with a chart that follows its width and the theme.
 * @param {string} label one sentence that says what the picture shows
 * @param {(colours: ReturnType<typeof palette>) => object} build gives the options
 * @param {{height?: number, onclick?: (event: any) => void}} [more]
 */
export function chart(label, build, { height = 220, onclick = null } = {}) {
  const box = el('div', { class: 'chart', role: 'img', 'aria-label': label, vars: { '--height': `${height}px` } });
  const watch = new ResizeObserver(() => draw(box, build, onclick, watch));
  watch.observe(box);
  return box;
}

async function draw(box, build, onclick, watch) {
  if (!box.isConnected) return;
  const echarts = await load();
  if (box.picture) {
    box.picture.resize();
    return;
  }
  if (!box.isConnected || !box.clientWidth) return;
  const picture = echarts.init(box, null, { renderer: 'canvas' });
  box.picture = picture;
  picture.setOption(build(palette()));
  if (onclick) picture.on('click', onclick);
  const again = () => picture.setOption(build(palette()), true);
  document.addEventListener('themechange', again);
  box.addEventListener(
    'leave',
    () => {
      watch.disconnect();
      document.removeEventListener('themechange', again);
      picture.dispose();
    },
    { once: true },
  );
}

/** Frees the charts below `root`, which is about to go. */
export function disposeCharts(root) {
  for (const box of root.querySelectorAll('.chart')) box.dispatchEvent(new Event('leave'));
}
