/** The values of a column as a list to choose from, and words to look for in one of many values. */

import { make } from "../js/dom.js";
import { spoken, t } from "../js/language.js";

const SHOWN = 8;

/**
 * @param {object} parts
 * @param {string} parts.column
 * @param {import("../js/api.js").FacetValue[]} parts.facet
 * @param {string[]} parts.chosen
 * @param {boolean} parts.isWhole whether all values are shown, not only the first
 * @param {(values: string[]) => void} parts.onChange
 * @param {() => void} parts.onWhole
 */
export function drawValues({ column, facet, chosen, isWhole, onChange, onWhole }) {
  const counts = new Map(facet.flatMap(({ value, count }) => (value === null ? [] : [[String(value), count]])));
  // What was chosen stays to be let go, even where nothing has it any more.
  for (const value of chosen) if (!counts.has(value)) counts.set(value, 0);
  const all = [...counts];
  const shown = isWhole ? all : all.filter(([value], i) => i < SHOWN || chosen.includes(value));
  const rows = shown.map(([value, count]) => {
    const box = make("input", { type: "checkbox", "data-key": `${column} ${value}` });
    box.checked = chosen.includes(value);
    box.addEventListener("change", () =>
      onChange(box.checked ? [...chosen, value] : chosen.filter((other) => other !== value)),
    );
    const told = make("span", { class: "count" }, count.toLocaleString(spoken()));
    return make("li", {}, make("label", { class: "value" }, box, make("span", {}, value), told));
  });
  const more = make("button", { type: "button", class: "link", "data-key": `${column} more` }, t("Show all {n}", { n: all.length }));
  more.addEventListener("click", onWhole);
  return make("div", {}, make("ul", { class: "values" }, ...rows), shown.length < all.length && more);
}

/**
 * Those that have no value in a column.
 * @param {string} column
 * @param {number} count
 * @param {boolean} isChosen
 * @param {(isChosen: boolean) => void} onChange
 */
export function drawNone(column, count, isChosen, onChange) {
  const box = make("input", { type: "checkbox", "data-key": `${column} none` });
  box.checked = isChosen;
  box.addEventListener("change", () => onChange(box.checked));
  const told = make("span", { class: "count" }, count.toLocaleString(spoken()));
  return make("label", { class: "value none" }, box, make("span", {}, t("No value")), told);
}

/**
 * @param {string} column
 * @param {string[]} chosen
 * @param {(values: string[]) => void} onChange
 */
export function drawContains(column, chosen, onChange) {
  const input = make("input", { type: "text", value: chosen[0] ?? "", "data-key": `${column} contains`, spellcheck: "false" });
  input.addEventListener("change", () => {
    const text = input.value.trim();
    onChange(text ? [text, ...chosen.slice(1)] : chosen.slice(1));
  });
  return make("label", { class: "field" }, make("span", {}, t("Contains")), input);
}
