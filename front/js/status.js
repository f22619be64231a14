/** One quiet line: what is going on, or how much was found. */

import { byId } from "./dom.js";

const line = byId("status", HTMLElement);

/** @param {import("./search.js").View} view */
export function showStatus(view) {
  const text = sentence(view);
  if (line.textContent !== text) line.textContent = text;
}

/** @param {import("./search.js").View} view */
function sentence({ status, hits, broken }) {
  if (status === "loading") return "Searching…";
  if (status !== "ready" || !hits.length) return "";
  const found = count(hits.length, "result");
  return broken.size ? `${found} · ${count(broken.size, "picture")} missing` : found;
}

/** @param {number} n @param {string} what */
function count(n, what) {
  return `${n.toLocaleString("en")} ${what}${n === 1 ? "" : "s"}`;
}
