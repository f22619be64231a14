/** How similar the results are, where to cut them off, and how unlike each other they should be. */

import { make } from "../js/dom.js";
import { t } from "../js/language.js";
import { binned, drawBars, markBars } from "./histogram.js";

const BARS = 40;

/**
 * @param {number[]} similarities
 * @param {number | null} threshold
 * @param {(threshold: number | null) => void} onChange
 */
export function drawCutOff(similarities, threshold, onChange) {
  if (similarities.length < 2) return null;
  const { least, greatest, width, counts } = binned(similarities, BARS);
  const low = Math.floor(least * 100) / 100;
  const high = Math.ceil(greatest * 100) / 100;
  const place = Math.max(low, Math.min(high, threshold ?? low));
  const isIn = (/** @type {number} */ from) => (/** @type {number} */ i) => least + (i + 1) * width > from;
  const bars = drawBars(counts, isIn(place));
  const told = make("span", { class: "told" }, words(threshold));
  const range = make("input", {
    type: "range", min: low, max: high, step: 0.01, value: place,
    "aria-label": t("Least similarity"), "data-key": "threshold",
  });
  const chosen = () => (range.valueAsNumber <= low ? null : Math.round(range.valueAsNumber * 100) / 100);
  const say = () => range.setAttribute("aria-valuetext", words(chosen()));
  range.addEventListener("input", () => {
    markBars(bars, isIn(range.valueAsNumber));
    told.replaceChildren(words(chosen()));
    say();
  });
  range.addEventListener("change", () => onChange(chosen()));
  say();
  return make("div", { class: "cut-off" }, make("h3", {}, t("Similarity"), told), bars, range);
}

/** @param {number} diversity @param {(diversity: number) => void} onChange */
export function drawDiversity(diversity, onChange) {
  const told = make("span", { class: "told" }, diversity ? diversity.toFixed(2) : t("off"));
  const range = make("input", { type: "range", min: 0, max: 1, step: 0.05, value: diversity, "data-key": "diversity" });
  range.addEventListener("input", () => told.replaceChildren(range.valueAsNumber ? range.valueAsNumber.toFixed(2) : t("off")));
  range.addEventListener("change", () => onChange(range.valueAsNumber));
  return make("label", { class: "field" }, make("span", {}, t("Diversity"), told), range);
}

/** @param {number | null} threshold */
function words(threshold) {
  return threshold === null ? t("all") : t("from {number}", { number: threshold.toFixed(2) });
}
