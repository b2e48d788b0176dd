// What `scan` says of the file.

import { once } from '../lib/api.js';
import { el, fill } from '../lib/dom.js';
import { plural, visible, whole } from '../lib/text.js';

const MEANING = {
  safe: 'read whole; all that is named in it is known to be data',
  unknown: 'loading it needs code that is not known here, or something could not be read',
  unsafe: 'it would do more than load',
};
const MARK = { safe: '✓', unknown: '?', unsafe: '✕' };

/** A section that is there at once and gets its verdict when the scan is done. */
export function verdict(file) {
  const box = el('div', { class: 'verdict', 'aria-live': 'polite' });
  fill(box, 'Scanning', async () => show(await once(`api/scan/${file}`)));
  return box;
}

export function badge(word, incomplete = false) {
  return el(
    'span',
    { class: `badge badge-${word}` },
    el('span', { 'aria-hidden': 'true' }, MARK[word] ?? '·'),
    ` ${word}`,
    incomplete && ', incomplete',
  );
}

function show(scan) {
  const findings = scan.files.flatMap((f) =>
    f.findings.map((finding) => ({ ...finding, path: scan.files.length > 1 ? f.path : null })),
  );
  const line = el(
    'p',
    { class: 'verdict-line' },
    badge(scan.verdict, scan.incomplete),
    ' ',
    MEANING[scan.verdict] ?? '',
    scan.files.length > 1 && ` (${plural(scan.files.length, 'file')})`,
  );
  if (!findings.length) return line;
  const shown = findings.slice(0, 5).map(item);
  const rest = findings.slice(5);
  return [
    line,
    el('ul', { class: 'findings' }, shown),
    rest.length > 0 &&
      el(
        'details',
        {},
        el('summary', {}, `${plural(rest.length, 'more finding')}`),
        el('ul', { class: 'findings' }, rest.slice(0, 500).map(item)),
      ),
  ];
}

function item(finding) {
  const place = [
    finding.path,
    finding.member,
    finding.offset !== null && finding.offset !== undefined ? `byte ${whole(finding.offset)}` : null,
  ];
  return el(
    'li',
    {},
    el('span', { class: `severity severity-${finding.severity}` }, finding.severity),
    ' ',
    visible(finding.what),
    el('span', { class: 'where' }, ' ', [finding.rule, ...place.filter(Boolean)].map((p) => visible(p)).join(' · ')),
    finding.hint && el('p', { class: 'hint' }, visible(finding.hint)),
  );
}
