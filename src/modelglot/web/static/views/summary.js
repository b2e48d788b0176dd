// What the file is.

import { summary } from '../lib/api.js';
import { el, facts, put, section, table } from '../lib/dom.js';
import { to } from '../lib/route.js';
import { human, percent, plural, shape, size, visible, whole } from '../lib/text.js';
import { verdict } from './verdict.js';

export async function show(root, { file, files }) {
  const found = await summary(file);
  put(
    root,
    el('h1', { class: 'name' }, visible(files[file].name)),
    verdict(file),
    facts(what(found, file)),
    notes(found.notes),
    types(found),
    found.components.length > 1 && section('Components', components(found)),
    training(found),
    found.graph && section('Graph', graph(found, file)),
    section(
      'Files',
      table(
        'Files of the model',
        [{ head: 'name', code: true }, { head: 'role' }, { head: 'size', number: true }],
        found.files.map((f) => [visible(f.name), f.role, size(f.size)]),
      ),
    ),
    found.sides.length > 0 && sides(found.sides),
  );
}

function what(found, file) {
  const { format, totals, name, cost } = found;
  const parameters =
    totals.parameters < 10000 ? whole(totals.parameters) : `${human(totals.parameters)} (${whole(totals.parameters)})`;
  return [
    [
      'format',
      [
        format.title,
        format.dialect && `, ${visible(format.dialect)}`,
        el('span', { class: 'soft' }, ` (${visible(format.why)})`),
      ],
    ],
    ['family', found.family && visible(found.family)],
    ['tensors', el('a', { href: to('tensors', file) }, whole(totals.tensors))],
    ['parameters', parameters],
    ['bytes of tensors', totals.bytes < 1000 ? size(totals.bytes) : `${size(totals.bytes)} (${whole(totals.bytes)})`],
    ['bits a parameter', totals.parameters ? ((totals.bytes * 8) / totals.parameters).toFixed(2) : null],
    ['quantization', found.quantization && visible(found.quantization)],
    ['the name says', name.said && visible(name.said)],
    ['tied', found.ties.length ? plural(found.ties.length, 'group') + ' of tensors that share their bytes' : null],
    ['operations', cost?.macs && `${human(cost.macs)} multiply-adds`],
    ['path', el('span', { class: 'path' }, visible(found.path))],
  ];
}

function notes(found) {
  if (!found.length) return null;
  return el(
    'ul',
    { class: 'notes' },
    found.map((n) =>
      el('li', { class: `note note-${n.level}` }, el('span', { class: 'severity' }, n.level), ' ', visible(n.text)),
    ),
  );
}

/** The bar of types: each as wide as its bytes, named in the table below it. */
function types(found) {
  const all = found.totals.bytes;
  if (!found.types.length) return null;
  const part = (t, i) =>
    el('span', {
      class: 'part',
      title: `${t.type}: ${size(t.bytes)}`,
      vars: { '--grow': Math.max(t.bytes, all / 400), '--kind': `var(--k${i % 8})` },
    });
  const dot = (i) => el('span', { class: 'dot', 'aria-hidden': 'true', vars: { '--kind': `var(--k${i % 8})` } });
  return section(
    'Types',
    el('div', { class: 'parts', 'aria-hidden': 'true' }, found.types.map(part)),
    table(
      'Types of tensors',
      [
        { head: 'type', code: true },
        { head: 'tensors', number: true },
        { head: 'parameters', number: true },
        { head: 'size', number: true },
        { head: 'share', number: true },
      ],
      found.types.map((t, i) => [
        [dot(i), visible(t.type)],
        whole(t.tensors),
        human(t.parameters),
        size(t.bytes),
        percent(t.bytes, all),
      ]),
    ),
  );
}

function components(found) {
  return table(
    'Components of the checkpoint',
    [
      { head: 'role' },
      { head: 'place', code: true },
      { head: 'tensors', number: true },
      { head: 'size', number: true },
    ],
    found.components.map((c) => [c.role, visible(c.path) || '(root)', whole(c.tensors), size(c.bytes)]),
  );
}

function training(found) {
  const state = Object.entries(found.training_state);
  const objects = Object.entries(found.objects);
  return [
    state.length > 0 &&
      section(
        'Training state',
        facts(state.map(([k, v]) => [visible(k), visible(typeof v === 'object' ? JSON.stringify(v) : v)])),
      ),
    objects.length > 0 &&
      section(
        'Objects named, not imported',
        table(
          'Objects named in the file',
          [{ head: 'global', code: true }, { head: 'times', number: true }, { head: 'would be called' }],
          objects
            .slice(0, 200)
            .map(([name, times]) => [visible(name), whole(times), found.calls.includes(name) ? 'yes' : '']),
        ),
      ),
  ];
}

function graph(found, file) {
  const operators = Object.entries(found.graph.operators)
    .slice(0, 12)
    .map(([name, n]) => `${visible(name)} ×${n}`);
  const ports = found.graph.signatures.flatMap((s) => [
    ...s.inputs.map((p) => [visible(s.name), 'input', visible(p.name), visible(port(p))]),
    ...s.outputs.map((p) => [visible(s.name), 'output', visible(p.name), visible(port(p))]),
  ]);
  return [
    el(
      'p',
      {},
      `${visible(found.graph.dialect)}, ${plural(found.graph.nodes, 'node')}: ${operators.join(', ')}. `,
      el('a', { href: to('graph', file) }, 'Show the graph'),
    ),
    ports.length > 0 &&
      table(
        'Inputs and outputs',
        [{ head: 'signature' }, { head: '' }, { head: 'name', code: true }, { head: 'type', code: true }],
        ports.slice(0, 100),
      ),
  ];
}

const port = (p) => `${p.dtype ?? ''} ${p.shape ? shape(p.shape.map((n) => n ?? '?')) : ''}`;

function sides(found) {
  return el(
    'details',
    {},
    el('summary', {}, `${plural(found.length, 'side file')} carried along`),
    table(
      'Side files',
      [{ head: 'name', code: true }, { head: 'what' }, { head: 'size', number: true }],
      found.slice(0, 1000).map((s) => [visible(s.name), visible(s.what), size(s.size)]),
    ),
  );
}
