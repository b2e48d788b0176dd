// Places in the page: `#VIEW/FILE` or `#VIEW/FILE/REST`, where REST is a tensor's name or the other file's number.

/** @returns {{view: string, file: number, rest: string}} */
export function parse(hash) {
  const text = hash.replace(/^#/, '');
  const [view, file = '0'] = text.split('/', 2);
  const rest = text.slice(view.length + 1 + file.length + 1);
  return { view: view || 'summary', file: /^\d+$/.test(file) ? Number(file) : -1, rest: decode(rest) };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // typed by hand, with a % of its own
  }
}

/** @returns {string} an address for `href` */
export function to(view, file, rest = '') {
  return `#${view}/${file}${rest === '' ? '' : `/${encodeURIComponent(String(rest).toWellFormed())}`}`;
}

export const here = () => parse(location.hash);
