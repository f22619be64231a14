/** Typed look-ups: a page that lacks an element fails by name, at once. */

/**
 * @template {Element} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function byId(id, type) {
  return part(document, `#${id}`, type);
}

/**
 * @template {Element} T
 * @param {ParentNode} root
 * @param {string} selector
 * @param {new () => T} type
 * @returns {T}
 */
export function part(root, selector, type) {
  const element = root.querySelector(selector);
  if (!(element instanceof type)) throw new Error(`the page has no ${type.name} at '${selector}'`);
  return element;
}

/**
 * A copy of the one element in a template.
 * @param {string} id
 */
export function stamp(id) {
  const element = byId(id, HTMLTemplateElement).content.firstElementChild?.cloneNode(true);
  if (!(element instanceof HTMLElement)) throw new Error(`template '${id}' is empty`);
  return element;
}

/**
 * A click that the page may answer itself, not one meant to open a tab.
 * @param {MouseEvent} event
 */
export function isPlainClick(event) {
  return event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
}
