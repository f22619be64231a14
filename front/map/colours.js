/** A colour for each cluster: hues far apart, as dark or light as the theme wants. */

import { current } from "../js/theme.js";

const GOLDEN = 137.5; // degrees: neighbours in the list are never neighbours in hue
const FIRST = 195;

/** @param {number} count @returns {string[]} */
export function coloursOf(count) {
  const look = current() === "dark" ? "75% 0.115" : "58% 0.135";
  return Array.from({ length: count }, (_, i) => `oklch(${look} ${(FIRST + i * GOLDEN) % 360})`);
}

/** @param {() => void} listener called when the theme is another */
export function onTheme(listener) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", listener);
  new MutationObserver(listener).observe(document.documentElement, { attributeFilter: ["data-theme"] });
}
