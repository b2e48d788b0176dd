// Light, dark, or what the system says; charts listen to `themechange` on the document.

const NAMES = ['system', 'light', 'dark'];
const KEY = 'modelglot-theme';

/** @returns {string} `system`, `light` or `dark` */
const chosen = () => document.documentElement.dataset.theme ?? 'system';

function announce() {
  document.dispatchEvent(new Event('themechange'));
}

function choose(name) {
  const root = document.documentElement;
  if (name === 'system') delete root.dataset.theme;
  else root.dataset.theme = name;
  try {
    localStorage.setItem(KEY, name);
  } catch {
    // a choice that is not kept is still a choice
  }
  announce();
}

/** Makes `button` go round the three themes. */
export function themeButton(button) {
  const word = button.querySelector('.tool-word');
  const say = () => {
    button.replaceChildren(word, chosen());
  };
  button.addEventListener('click', () => {
    choose(NAMES[(NAMES.indexOf(chosen()) + 1) % NAMES.length]);
    say();
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', announce);
  say();
}

/**
 * The value of a colour variable as `rgb(...)`: canvases do not know `light-dark()`.
 * @param {string} name such as `--text`
 */
export function colour(name) {
  const probe = document.createElement('span');
  probe.style.color = `var(${name})`;
  probe.hidden = true;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}
