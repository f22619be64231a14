/**
 * A chart of lines over the last minutes: drawn, told in words, and as a table.
 *
 * @typedef {{at: number, values: (number | null)[]}} Point
 */

import { make } from "../js/dom.js";
import { spoken, t } from "../js/language.js";
import { inUnit } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [300, 84];
const ROWS = 20;
/** A chart is at least as wide as a minute; it grows with what is known. */
const LEAST_S = 60;

/** @param {import("./measures.js").Measure} measure */
export function createChart({ title, note, unit }) {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  drawing.setAttribute("preserveAspectRatio", "none");
  drawing.setAttribute("role", "img");
  const top = make("span", { class: "top", "aria-hidden": "true" });
  const legend = make("ul", { class: "legend" });
  const table = make("table", {});
  const details = make("details", { class: "as-table" }, make("summary", {}, t("As a table")), make("div", { class: "scrolls", tabindex: 0, role: "region", "aria-label": title }, table));
  const root = make("article", { class: "chart" }, make("h3", {}, title), note ? make("p", { class: "soft" }, note) : null, legend, make("div", { class: "plot" }, drawing, top), details);
  /** @type {() => void} */
  let fillTable = () => {};
  details.addEventListener("toggle", () => fillTable());

  /** @param {string[]} labels @param {Point[]} points the latest is the last */
  function draw(labels, points) {
    const now = points[points.length - 1];
    if (!now) return;
    const all = points.flatMap(({ values }) => values.filter((value) => value !== null));
    const most = unit === "%" ? 100 : ceiling(Math.max(0, ...all.map(Number)));
    const seconds = Math.max(LEAST_S, now.at - (points[0]?.at ?? now.at));
    const x = (/** @type {number} */ at) => WIDTH * (1 - (now.at - at) / seconds);
    const y = (/** @type {number} */ value) => HEIGHT - 2 - (HEIGHT - 6) * (value / most);
    top.textContent = all.length ? inUnit(most, unit) : "";
    legend.replaceChildren(...labels.map((label, i) => entry(label, inUnit(now.values[i] ?? null, unit), i)));
    drawing.replaceChildren(...labels.map((_, i) => line(points.map(({ at, values }) => [x(at), values[i] ?? null]), y, i)));
    drawing.setAttribute("aria-label", inWords(labels, now, Math.max(...all.map(Number)), all.length > 0));
    fillTable = () => {
      if (details.open) table.replaceChildren(...rows(labels, points));
    };
    fillTable();
  }

  /** @param {string[]} labels @param {Point} now @param {number} most @param {boolean} isKnown */
  function inWords(labels, now, most, isKnown) {
    const told = labels.map((label, i) => `${label} ${inUnit(now.values[i] ?? null, unit)}`).join(", ");
    return isKnown ? t("{title}: {told}. At most {most} in the last minutes.", { title, told, most: inUnit(most, unit) }) : `${title}: ${told}`;
  }

  /** @param {string[]} labels @param {Point[]} points */
  function rows(labels, points) {
    const head = make("tr", {}, ...[t("Time"), ...labels].map((text) => make("th", { scope: "col" }, text)));
    const body = points.slice(-ROWS).reverse().map(({ at, values }) => {
      const time = make("th", { scope: "row" }, new Date(at * 1000).toLocaleTimeString(spoken()));
      return make("tr", {}, time, ...labels.map((_, i) => make("td", {}, inUnit(values[i] ?? null, unit))));
    });
    return [make("thead", {}, head), make("tbody", {}, ...body)];
  }

  return { root, draw };
}

/** @param {string} label @param {string} value @param {number} i */
function entry(label, value, i) {
  return make("li", { "data-line": i }, make("b", {}, value), make("span", {}, label));
}

/**
 * A line that is interrupted where nothing is known.
 * @param {[x: number, value: number | null][]} points
 * @param {(value: number) => number} y
 * @param {number} i
 */
function line(points, y, i) {
  let isDrawing = false;
  const steps = points.flatMap(([x, value]) => {
    const step = value === null ? [] : [`${isDrawing ? "L" : "M"}${x.toFixed(1)} ${y(value).toFixed(1)}`];
    // A point between two gaps is a dot.
    if (value !== null && !isDrawing) step.push("h0.01");
    isDrawing = value !== null;
    return step;
  });
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", steps.join(""));
  path.setAttribute("data-line", String(i));
  return path;
}

/**
 * The next of 1, 2, 5, 10, 20…
 * @param {number} value
 */
function ceiling(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ([1, 2, 5].find((step) => step * power >= value) ?? 10);
}
