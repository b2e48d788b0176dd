// The errors of compared tensors by layer: a plot, and the worst as a table.

import { chart, frame } from '../lib/charts.js';
import { el, table } from '../lib/dom.js';
import { plural, short, visible } from '../lib/text.js';

/** Parts for what was read so far; `done` says that this is all. */
export function damage(values, done) {
  const good = values.filter((v) => !v.error);
  const failed = values.length - good.length;
  const differ = good.filter((v) => !v.equal && v.relative !== null && v.relative !== undefined);
  const tail = `${failed ? ` ${plural(failed, 'tensor')} could not be compared.` : ''}${done ? '' : ' Not all were read.'}`;
  if (!differ.length) return el('p', {}, `${plural(good.length, 'tensor')} compared: all values are equal.${tail}`);
  const worst = [...differ].sort((a, b) => b.relative - a.relative);
  const mean = differ.reduce((sum, v) => sum + v.relative, 0) / differ.length;
  const text = `${plural(good.length, 'tensor')} compared: ${good.length - differ.length} equal, ${differ.length} with errors; relative error ${short(mean)} on average, ${short(worst[0].relative)} at most, in ${visible(worst[0].name)}.${tail}`;
  return [
    el('p', {}, text),
    plot(differ),
    el(
      'p',
      { class: 'soft' },
      "Relative error: root mean square of the differences over that of the first file's values.",
    ),
    el(
      'details',
      {},
      el('summary', {}, 'By kind of tensor'),
      table(
        'Relative error by kind of tensor',
        [
          { head: 'tensors', code: true },
          { head: 'count', number: true },
          { head: 'mean', number: true },
          { head: 'worst', number: true },
        ],
        kinds(differ).map(([kind, list]) => [
          visible(kind),
          String(list.length),
          short(list.reduce((s, v) => s + v.relative, 0) / list.length),
          short(Math.max(...list.map((v) => v.relative))),
        ]),
      ),
    ),
  ];
}

/** `blk.#.attn_q.weight` and layer 3 from `blk.3.attn_q.weight`. */
function split(name) {
  const match = /(^|[._/])(\d+)(?=[._/]|$)/.exec(name);
  if (!match) return [name, null];
  return [`${name.slice(0, match.index)}${match[1]}#${name.slice(match.index + match[0].length)}`, Number(match[2])];
}

function kinds(values) {
  const found = new Map();
  for (const v of values) {
    const [kind] = split(v.name);
    if (!found.has(kind)) found.set(kind, []);
    found.get(kind).push(v);
  }
  return [...found].sort((a, b) => b[1].length - a[1].length);
}

function plot(values) {
  const layered = kinds(values)
    .filter(([, list]) => list.length > 1 && split(list[0].name)[1] !== null)
    .slice(0, 8);
  if (!layered.length) return null;
  const lines = Math.ceil(
    layered.reduce((sum, [kind]) => sum + kind.length * 6 + 40, 0) / Math.min(innerWidth - 60, 960),
  );
  const label = `Relative error by layer, a line for each kind of tensor: ${layered.map(([kind]) => visible(kind)).join(', ')}. The table below has the numbers.`;
  return chart(
    label,
    (colours) => {
      const { axis, base } = frame(colours);
      const points = (list) =>
        list
          .map((v) => [split(v.name)[1], v.relative])
          .filter(([, y]) => y > 0)
          .sort((a, b) => a[0] - b[0]);
      const symbols = ['circle', 'rect', 'triangle', 'diamond', 'roundRect', 'pin', 'arrow', 'emptyCircle'];
      return {
        ...base,
        grid: { left: 64, right: 16, top: 16, bottom: 18 * lines + 44 },
        legend: {
          bottom: 0,
          textStyle: { color: colours.text, fontSize: 11 },
          itemWidth: 14,
          itemHeight: 8,
          type: 'plain',
        },
        tooltip: {
          ...base.tooltip,
          trigger: 'item',
          formatter: (p) => `${p.seriesName}\nlayer ${p.value[0]}: ${short(p.value[1])}`,
        },
        xAxis: { ...axis, type: 'value', minInterval: 1, name: 'layer', nameGap: 22 },
        yAxis: { ...axis, type: 'log', axisLabel: { ...axis.axisLabel, formatter: (n) => short(n) } },
        series: layered.map(([kind, list], i) => ({
          name: visible(kind),
          type: 'line',
          data: points(list),
          symbol: symbols[i],
          symbolSize: 5,
          lineStyle: { width: 1.5 },
          color: colours.kinds[i],
        })),
      };
    },
    { height: 240 + 18 * lines },
  );
}
