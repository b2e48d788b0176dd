// Statistics of a tensor's values, and how they are spread.

import { get } from '../lib/api.js';
import { chart, frame } from '../lib/charts.js';
import { el, facts, fill, section, table } from '../lib/dom.js';
import { percent, real, short, size, whole } from '../lib/text.js';

/** A section that reads the tensor at once, or when it is told to. */
export function statistics(file, tensor, atOnce) {
  const box = el('div', { class: 'statistics' });
  const read = () =>
    fill(box, `Reading ${size(tensor.bytes)}`, async () =>
      shown(await get(`api/stats/${file}`, { name: tensor.name })),
    );
  if (atOnce) read();
  else
    box.append(
      el('button', { type: 'button', class: 'button', onclick: read }, `Read ${size(tensor.bytes)} for statistics`),
    );
  return section('Statistics', box);
}

const single = (value) => real(value === null ? null : Math.fround(value));

function shown({ statistics: s, histogram }) {
  const some = (count) => (count ? `${whole(count)} (${percent(count, s.count)})` : '0');
  return [
    facts(
      [
        ['minimum', real(s.min)],
        ['maximum', real(s.max)],
        ['mean', single(s.mean)],
        ['standard deviation', single(s.std)],
        ['zeros', some(s.zeros)],
        ['negative', some(s.negative)],
        ['NaN', some(s.nan)],
        ['infinite', some(s.inf)],
        [
          'outliers',
          s.outlier_from === null
            ? null
            : `${some(s.outliers)} of magnitude ${short(s.outlier_from)} or more (6 standard deviations)`,
        ],
      ],
      'wide',
    ),
    histogram && linear(histogram, s),
    magnitudes(s),
  ];
}

function linear({ low, high, counts }, { min, max }) {
  const width = (high - low) / counts.length;
  const top = counts.indexOf(Math.max(...counts));
  const range = (i) => `${short(low + i * width)} to ${short(low + (i + 1) * width)}`;
  const label = `Histogram of the values in ${counts.length} bins from ${short(low)} to ${short(high)}; most values (${whole(counts[top])}) are from ${range(top)}.${min < low || max > high ? ' What lies outside is in the first and the last bin.' : ''}`;
  return el(
    'figure',
    {},
    chart(label, (colours) => {
      const { axis, base } = frame(colours);
      return {
        ...base,
        tooltip: { ...base.tooltip, trigger: 'axis', formatter: ([p]) => `${range(p.dataIndex)}\n${whole(p.value)}` },
        xAxis: {
          ...axis,
          type: 'category',
          data: counts.map((_, i) => short(low + (i + 0.5) * width)),
          name: 'value',
          nameGap: 24,
          axisLabel: { ...axis.axisLabel, interval: Math.ceil(counts.length / 6) },
        },
        yAxis: {
          ...axis,
          type: 'value',
          axisLabel: { ...axis.axisLabel, formatter: (n) => (n >= 1e4 ? `${n / 1000} K` : n) },
        },
        series: [{ type: 'bar', data: counts, barCategoryGap: '4%', itemStyle: { color: colours.accent } }],
      };
    }),
    el('figcaption', { class: 'soft' }, label),
  );
}

function magnitudes(s) {
  const rows = Object.entries(s.histogram)
    .map(([e, n]) => [Number(e), n])
    .sort((a, b) => b[0] - a[0]);
  if (!rows.length) return null;
  return el(
    'details',
    {},
    el('summary', {}, 'Magnitudes by powers of two'),
    table(
      'Magnitudes by powers of two',
      [{ head: 'magnitude' }, { head: 'values', number: true }, { head: 'share', number: true }],
      [
        ...rows.map(([e, n]) => [`2^${e - 1} to 2^${e}`, whole(n), percent(n, s.count)]),
        ...(s.zeros ? [['zero', whole(s.zeros), percent(s.zeros, s.count)]] : []),
      ],
    ),
  );
}
