// Elements from plain values. Strings become text nodes: nothing from a file is ever parsed as HTML.

/**
 * `el('a', {href, class: 'x', onclick: f}, 'text', child)`. Functions are listeners; false, null and undefined leave an
 * attribute out, true sets it empty; `vars` sets CSS variables (the policy of the page forbids style attributes).
 * @param {string} tag
 * @param {Record<string, any>} [props]
 * @param {...(Node|string|number|null|undefined|false|Array<any>)} children
 */
export function el(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === false || value === null || value === undefined) continue;
    if (typeof value === 'function') made.addEventListener(name.slice(2), value);
    else if (name === 'vars') for (const [k, v] of Object.entries(value)) made.style.setProperty(k, v);
    else if (name === 'value') made.value = value;
    else made.setAttribute(name, value === true ? '' : value);
  }
  put(made, ...children);
  return made;
}

/** Appends what `el` takes as children. */
export function put(parent, ...children) {
  for (const child of children) {
    if (Array.isArray(child)) put(parent, ...child);
    else if (child !== null && child !== undefined && child !== false) parent.append(child);
  }
}

/** Two columns of terms and what is said of them; pairs whose value is empty are left out; `more` is `wide` for short values. */
export function facts(pairs, more = '') {
  const shown = pairs.filter(([, value]) => value !== null && value !== undefined && value !== '');
  return el(
    'dl',
    { class: `facts ${more}` },
    shown.map(([term, value]) => el('div', {}, el('dt', {}, term), el('dd', {}, value))),
  );
}

/**
 * A table. Columns: `{head, number?, code?}`; rows: arrays of text or nodes.
 * @param {string} caption for screen readers
 */
export function table(caption, columns, rows) {
  const kind = (c) => (c.number ? 'n' : c.code ? 'code' : null);
  return el(
    'div',
    { class: 'table-box', tabindex: 0, role: 'group', 'aria-label': caption },
    el(
      'table',
      {},
      el('caption', { class: 'away' }, caption),
      el(
        'thead',
        {},
        el(
          'tr',
          {},
          columns.map((c) => el('th', { scope: 'col', class: kind(c) }, c.head)),
        ),
      ),
      el(
        'tbody',
        {},
        rows.map((row) =>
          el(
            'tr',
            {},
            row.map((value, i) => el('td', { class: kind(columns[i]) }, value)),
          ),
        ),
      ),
    ),
  );
}

/** A part of a view with its heading. */
export function section(title, ...children) {
  return el('section', {}, el('h2', {}, title), ...children);
}

/** What went wrong, in place. */
export function problem(error) {
  return el(
    'div',
    { class: 'problem', role: 'alert' },
    el('p', {}, error.message),
    error.hint && el('p', { class: 'hint' }, error.hint),
  );
}

/** Fills `box` with what `work` gives; says that it waits, and what failed. */
export async function fill(box, waiting, work) {
  box.replaceChildren(el('p', { class: 'wait' }, waiting));
  try {
    const made = await work();
    box.replaceChildren();
    put(box, made);
  } catch (error) {
    if (error.name !== 'AbortError') box.replaceChildren(problem(error));
  }
}

/** Calls `work` once things have been quiet for a moment. */
export function later(work, milliseconds = 60) {
  let timer = 0;
  const run = (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...values), milliseconds);
  };
  run.stop = () => clearTimeout(timer);
  return run;
}

/** Says `text` to screen readers. */
export function announce(text) {
  document.getElementById('status').textContent = text;
}
