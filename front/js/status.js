/** One quiet line: what is going on, or how much was found. */

import { byId } from "./dom.js";
import { counted, t } from "./language.js";

const line = byId("status", HTMLElement);

/** @param {import("./search.js").View} view */
export function showStatus(view) {
  const text = sentence(view);
  if (line.textContent !== text) line.textContent = text;
}

/** @param {import("./search.js").View} view */
function sentence({ status, results, found, rest, broken }) {
  if (status === "loading") return t("Searching…");
  if (status !== "ready" || !results.length) return "";
  const isAll = found !== null || !rest;
  const n = found ?? results.length;
  const told = isAll ? counted(n, "{n} result", "{n} results") : counted(n, "{n}+ result", "{n}+ results");
  return broken.size ? `${told} · ${counted(broken.size, "{n} picture missing", "{n} pictures missing")}` : told;
}
