// Runs in a page that only WebDriver drives: finds elements by role, label and text with Playwright's rules, and remembers what went wrong.
// A query is a list of steps, each of which looks below what the one before has found.
import { computeAccessibleName, getRole } from 'dom-accessibility-api';

const normal = (text) => (text ?? '').replace(/\s+/g, ' ').trim();

function matches(text, { source, flags, string, exact }) {
  if (source !== undefined) return new RegExp(source, flags).test(normal(text));
  const [seen, wanted] = [normal(text), normal(string)];
  return exact ? seen === wanted : seen.toLowerCase().includes(wanted.toLowerCase());
}

const isVisible = (element) => {
  const { width, height } = element.getBoundingClientRect();
  return width > 0 && height > 0 && element.checkVisibility({ visibilityProperty: true });
};

const labelsOf = (element) => [
  element.getAttribute('aria-label'),
  ...(element.getAttribute('aria-labelledby') ?? '')
    .split(' ')
    .map((id) => id && document.getElementById(id)?.textContent),
  ...Array.from(element.labels ?? [], ({ textContent }) => textContent),
];

const finders = {
  css: (from, { selector }) => from.flatMap((one) => [...one.querySelectorAll(selector)]),
  role: (from, { role, name }) =>
    finders
      .css(from, { selector: '*' })
      .filter((one) => getRole(one) === role && one.checkVisibility({ visibilityProperty: true }))
      .filter((one) => !one.closest('[aria-hidden="true"]') && (!name || matches(computeAccessibleName(one), name))),
  label: (from, { text }) =>
    finders
      .css(from, { selector: 'input, select, textarea, button, meter, [aria-label], [aria-labelledby]' })
      .filter((one) => labelsOf(one).some((label) => label && matches(label, text))),
  // The innermost element that has the whole text.
  text: (from, { text }) =>
    finders
      .css(from, { selector: 'body *:not(script, style)' })
      .filter(
        (one) => matches(one.textContent, text) && ![...one.children].some((child) => matches(child.textContent, text)),
      ),
  hasText: (from, { text }) => from.filter((one) => matches(one.textContent, text)),
  nth: (from, { index }) => from.slice(index, index === -1 ? undefined : index + 1),
};

export function find(steps) {
  const found = steps.reduce((from, step) => finders[step.by](from, step), [document]);
  return [...new Set(found)];
}

export const areVisible = (elements) => elements.map(isVisible);

export const faults = [];
addEventListener('error', ({ message }) => faults.push(`uncaught: ${message}`));
addEventListener('unhandledrejection', ({ reason }) => faults.push(`unhandled rejection: ${reason}`));
addEventListener('securitypolicyviolation', ({ blockedURI }) => faults.push(`refused by the policy: ${blockedURI}`));
const { error } = console;
console.error = (...words) => {
  faults.push(`console error: ${words.join(' ')}`);
  error.apply(console, words);
};
