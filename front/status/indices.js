/** What each index is, how well it answers, and what keeps it from it. */

import { make } from "../js/dom.js";
import { spoken, t } from "../js/language.js";
import { digits, inBytes } from "./format.js";

/**
 * As /v1/indices tells it.
 * @typedef {{size: number, dimension: number, kind: string, measured: Measured | null}} Vectors
 * @typedef {Record<string, Record<string, number> | number>} Measured
 * @typedef {object} Index
 * @property {string} name
 * @property {"ready" | "limited" | "unavailable"} status
 * @property {string | null} problem
 * @property {string} [version]
 * @property {number} [size]
 * @property {Record<string, Vectors>} [modalities]
 * @property {string | {name: string, precision: string}} [encoder]
 * @property {unknown[]} [columns]
 */

/** @param {Index} index @param {number | null} bytes of its files, where they are known */
export function drawIndex({ name, status, problem, version, size, modalities, encoder, columns }, bytes) {
  const facts = [
    [t("Items"), size?.toLocaleString(spoken())],
    [t("Encoder"), typeof encoder === "object" ? `${encoder.name} · ${encoder.precision}` : encoder],
    [t("Files"), bytes === null ? undefined : inBytes(bytes)],
    [t("Columns"), columns?.length],
    [t("Version"), version],
  ].filter(([, value]) => value !== undefined);
  return make(
    "article",
    { class: "index", "data-index": name },
    make("h3", {}, name, " ", badge(status)),
    problem ? make("p", { class: "problem" }, problem) : null,
    facts.length > 0 && make("dl", {}, ...facts.map(([label, value]) => make("div", {}, make("dt", {}, String(label)), make("dd", {}, String(value))))),
    modalities ? drawVectors(name, modalities) : null,
  );
}

/** @param {Index["status"]} status */
function badge(status) {
  const words = { ready: t("ready"), limited: t("without words and pictures"), unavailable: t("does not answer") };
  return make("span", { class: "badge", "data-state": status }, words[status] ?? status);
}

/** @param {string} name @param {Record<string, Vectors>} modalities */
function drawVectors(name, modalities) {
  const kinds = /** @type {Record<string, string>} */ ({ image: t("Pictures"), text: t("Captions") });
  const head = [t("Vectors of"), t("Number"), t("Dimension"), t("Kind"), t("Recall of the best 10"), t("Half are faster than"), t("95 % are faster than")];
  const rows = Object.entries(modalities).map(([modality, { size, dimension, kind, measured }]) => {
    const cells = [size.toLocaleString(spoken()), dimension, kind, told(measured, "recall_at_10", percent), told(measured, "p50_ms", ms), told(measured, "p95_ms", ms)];
    return make("tr", {}, make("th", { scope: "row" }, kinds[modality] ?? modality), ...cells.map((cell, i) => make("td", { "data-label": head[i + 1] ?? "" }, ...lines(cell))));
  });
  return make(
    "div",
    { class: "scrolls", tabindex: 0, role: "region", "aria-label": t("Vectors of {name}", { name }) },
    make("table", {}, make("thead", {}, make("tr", {}, ...head.map((text) => make("th", { scope: "col" }, text)))), make("tbody", {}, ...rows)),
  );
}

const percent = (/** @type {number} */ share) => `${digits(share * 100)} %`;
const ms = (/** @type {number} */ value) => `${digits(value)} ms`;

/**
 * What was measured at the build, for queries by picture and by words.
 * @param {Measured | null} measured
 * @param {string} what
 * @param {(value: number) => string} form
 */
function told(measured, what, form) {
  const found = measured?.[what];
  if (typeof found === "number") return form(found);
  if (!found) return t("not measured");
  const kinds = /** @type {Record<string, string>} */ ({ image: t("by picture"), text: t("by words") });
  return Object.entries(found).map(([kind, value]) => `${form(value)} ${kinds[kind] ?? kind}`);
}

/** @param {string | number | string[]} cell */
const lines = (cell) => [cell].flat().map((line) => make("span", {}, String(line)));
