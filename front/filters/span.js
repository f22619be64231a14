/** Numbers or times as a slider with two handles, bars above it, and two fields for exact ends. */

import { make } from "../js/dom.js";
import { t } from "../js/language.js";
import { drawBars, markBars } from "./histogram.js";

/** @typedef {{least?: string, greatest?: string}} Ends undefined: open */

/**
 * @param {object} parts
 * @param {string} parts.column
 * @param {import("../js/api.js").FacetRange} parts.facet
 * @param {boolean} parts.isTime
 * @param {boolean} parts.isDay times without an hour, which browsers have a calendar for
 * @param {Ends} parts.ends
 * @param {(ends: Ends | null) => void} parts.onChange
 */
export function drawSpan({ column, facet, isTime, isDay, ends, onChange }) {
  const edges = facet.edges.map(String);
  const last = edges.length - 1;
  const places = { from: placeOf(ends.least, edges, isTime) ?? 0, to: placeOf(ends.greatest, edges, isTime, true) ?? last };
  const bars = drawBars(facet.counts, (i) => i >= places.from && i < places.to);
  const from = handle(column, "from", t("{column}: from", { column }), places.from);
  const to = handle(column, "to", t("{column}: to", { column }), places.to);
  const least = field(column, "least", ends.least, edges[0]);
  const greatest = field(column, "greatest", ends.greatest, edges[last]);

  for (const [range, moved] of /** @type {const} */ ([[from, "from"], [to, "to"]])) {
    range.addEventListener("input", () => {
      // The handles do not pass each other.
      const at = moved === "from" ? Math.min(range.valueAsNumber, places.to - 1) : Math.max(range.valueAsNumber, places.from + 1);
      range.valueAsNumber = at;
      places[moved] = at;
      markBars(bars, (i) => i >= places.from && i < places.to);
      least.value = places.from === 0 ? "" : shown(edges[places.from]);
      greatest.value = places.to === last ? "" : shown(edges[places.to]);
      say();
    });
    range.addEventListener("change", tell);
  }
  for (const input of [least, greatest]) input.addEventListener("change", tell);
  say();
  return make(
    "div",
    { class: "span" },
    bars,
    make("div", { class: "handles" }, from, to),
    make("div", { class: "ends" }, make("label", {}, make("span", {}, t("From")), least), make("label", {}, make("span", {}, t("To")), greatest)),
  );

  function tell() {
    const chosen = { ...(least.value && { least: least.value }), ...(greatest.value && { greatest: greatest.value }) };
    onChange(Object.keys(chosen).length ? chosen : null);
  }

  function say() {
    from.setAttribute("aria-valuetext", shown(edges[places.from]));
    to.setAttribute("aria-valuetext", shown(edges[places.to]));
  }

  /** @param {string} key @param {string} which @param {string | undefined} value @param {string | undefined} edge */
  function field(key, which, value, edge) {
    const input = make("input", { type: isDay ? "date" : "text", value: value ?? "", "data-key": `${key} ${which}` });
    if (isDay) Object.assign(input, { min: edges[0], max: edges[last] });
    else Object.assign(input, { inputMode: isTime ? "text" : "decimal", placeholder: shown(edge) });
    return input;
  }

  /** @param {string} key @param {string} which @param {string} label @param {number} value */
  function handle(key, which, label, value) {
    return make("input", { type: "range", min: 0, max: last, step: 1, value, "aria-label": label, "data-key": `${key} ${which}` });
  }
}

/**
 * An edge of few digits.
 * @param {string | undefined} edge
 */
function shown(edge = "") {
  return /^-?\d+\.\d{4,}$/.test(edge) ? String(Number(Number(edge).toPrecision(4))) : edge;
}

/**
 * The edge that a value lies at or behind; before, where it is an upper end.
 * @param {string | undefined} value
 * @param {string[]} edges
 * @param {boolean} isTime
 * @param {boolean} [isUpper]
 */
function placeOf(value, edges, isTime, isUpper = false) {
  if (value === undefined) return undefined;
  const order = (/** @type {string} */ text) => (isTime ? Date.parse(text) : Number(text));
  const count = edges.filter((edge) => (isUpper ? order(edge) < order(value) : order(edge) <= order(value))).length;
  return isUpper ? Math.max(1, Math.min(edges.length - 1, count)) : Math.max(0, Math.min(edges.length - 2, count - 1));
}
