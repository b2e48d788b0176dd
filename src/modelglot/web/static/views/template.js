// Chat templates, as text: nothing here renders them.

import { get } from '../lib/api.js';
import { el, put, section } from '../lib/dom.js';
import { plural, visible, visibleLines } from '../lib/text.js';

const PARTS = /(\{\{[\s\S]*?\}\}|\{%[\s\S]*?%\}|\{#[\s\S]*?#\})/;
const CLASSES = { '{{': 'jinja-value', '{%': 'jinja-step', '{#': 'jinja-note' };

export async function show(root, { file }) {
  const { templates } = await get(`api/templates/${file}`);
  put(
    root,
    el('h1', { class: 'away' }, 'Chat templates'),
    templates.length ? null : el('p', { class: 'soft' }, 'There is no chat template in this file or beside it.'),
  );
  templates.forEach((template, i) =>
    put(
      root,
      section(
        `Template ${i + 1}`,
        el(
          'p',
          { class: 'soft' },
          `${visible(template.name)}, in ${visible(template.place)}; ${plural(template.text.length, 'character')}. Shown as text, not rendered.`,
        ),
        el(
          'pre',
          { class: 'code', tabindex: 0, 'aria-label': `Text of template ${visible(template.name)}` },
          coloured(template.text),
        ),
      ),
    ),
  );
}

/** Steps, values and comments of Jinja in their own colours. */
function coloured(text) {
  return text.split(PARTS).map((part) => {
    const kind = CLASSES[part.slice(0, 2)];
    return kind ? el('span', { class: kind }, visibleLines(part)) : visibleLines(part);
  });
}
