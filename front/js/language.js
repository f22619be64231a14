/**
 * The page's words in the reader's language. Each text is known by its English form, which is also what
 * is shown where a dictionary lacks it.
 *
 * @typedef {Record<string, string>} Dictionary
 */

import { recall, remember } from "./prefs.js";

/** @type {Record<string, string>} */
export const LANGUAGES = { en: "English", de: "Deutsch", fr: "Français", es: "Español" };

/** @type {Dictionary} */
let dictionary = {};
let language = "en";

/** The language chosen here before, or the first of the browser's that we speak. */
function wanted() {
  const asked = [recall("language") ?? "", ...navigator.languages].map((tag) => tag.slice(0, 2).toLowerCase());
  return asked.find((tag) => tag in LANGUAGES) ?? "en";
}

/** Fetches the dictionary, and translates what stands in the page already. */
export async function speak() {
  const chosen = wanted();
  if (chosen === "en") return;
  try {
    dictionary = (await import(`../languages/${chosen}.js`)).default;
  } catch {
    return; // English is better than nothing.
  }
  language = chosen;
  document.documentElement.lang = chosen;
  translate(document);
  for (const template of document.querySelectorAll("template")) translate(template.content);
}

/** @param {string} chosen */
export function choose(chosen) {
  remember("language", chosen);
  // The address bar and the history entry hold all that matters: nothing is lost.
  location.reload();
}

export const spoken = () => language;

/**
 * A text in the reader's language; `{name}` stands for a value.
 * @param {string} text
 * @param {Record<string, string | number>} [values]
 */
export function t(text, values = {}) {
  const found = dictionary[text] ?? text;
  return found.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/**
 * `one` or `many`, by the number `{n}`.
 * @param {number} n
 * @param {string} one
 * @param {string} many
 */
export function counted(n, one, many) {
  const form = new Intl.PluralRules(language).select(n) === "one" ? one : many;
  return t(form, { n: n.toLocaleString(language) });
}

/**
 * `data-t` names what is translated: `text`, or attributes.
 * @param {ParentNode} root
 */
function translate(root) {
  for (const element of root.querySelectorAll("[data-t]")) {
    for (const what of (element.getAttribute("data-t") ?? "").split(" ")) {
      if (what === "text") element.textContent = t((element.textContent ?? "").trim());
      else element.setAttribute(what, t(element.getAttribute(what) ?? ""));
    }
  }
}
