// Singular values, when asked for.

import { get } from '../lib/api.js';
import { chart, frame } from '../lib/charts.js';
import { el, fill, section } from '../lib/dom.js';
import { short, visible, whole } from '../lib/text.js';

export function spectrum(file, tensor) {
  const box = el('div', {});
  const compute = () =>
    fill(box, 'Computing', async () => shown(await get(`api/spectrum/${file}`, { name: tensor.name })));
  box.append(el('button', { type: 'button', class: 'button', onclick: compute }, 'Compute singular values'));
  return section('Singular values', box);
}

function shown({ values, exact, shape, note }) {
  const label = sentence(values, exact, shape);
  return el(
    'figure',
    {},
    chart(label, (colours) => {
      const { axis, base } = frame(colours);
      const shownValues = values.map((v, i) => [i + 1, v]).filter(([, v]) => v > 0);
      return {
        ...base,
        tooltip: { ...base.tooltip, trigger: 'axis', formatter: ([p]) => `number ${p.value[0]}\n${short(p.value[1])}` },
        xAxis: {
          ...axis,
          type: 'value',
          min: 1,
          max: Math.max(2, values.length),
          name: 'number, largest first',
          nameGap: 24,
        },
        yAxis: { ...axis, type: 'log', axisLabel: { ...axis.axisLabel, formatter: (n) => short(n) } },
        series: [
          {
            type: 'line',
            data: shownValues,
            showSymbol: values.length < 20,
            lineStyle: { width: 1.5, color: colours.accent },
            itemStyle: { color: colours.accent },
          },
        ],
      };
    }),
    el('figcaption', { class: 'soft' }, label, note && ` ${visible(note)}`),
  );
}

function sentence(values, exact, [rows, columns]) {
  const squares = values.map((v) => v * v);
  const all = squares.reduce((a, b) => a + b, 0);
  let sum = 0;
  const enough = squares.findIndex((s) => (sum += s) >= 0.9 * all) + 1;
  const matrix = `${whole(values.length)} singular values of a matrix ${whole(rows)} × ${whole(columns)}${exact ? '' : ' (estimated)'}`;
  if (!all) return `${matrix}: all are zero.`;
  const share = exact ? 'the sum of squares' : 'the sum of squares of these';
  return `${matrix}: from ${short(values[0])} down to ${short(values.at(-1))}; the largest ${whole(enough)} have 90 % of ${share}.`;
}
