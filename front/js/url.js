/**
 * What is searched for, and how, as the address bar holds it. A picture from this computer does not fit
 * there and travels in the history entry instead, so back and forward find it again.
 *
 * @typedef {import("./terms.js").Term} Term
 *
 * @typedef {object} State
 * @property {Term[]} terms
 * @property {string} index "" means the server's first or default one
 * @property {"image" | "text"} modality
 * @property {boolean} deduplicate
 * @property {string} distinct a column: one result of each of its values
 * @property {string} filter an expression
 * @property {number | null} threshold the least similarity
 * @property {string} groupBy a column
 * @property {number} diversity 0 to 1
 * @property {boolean} useMclip
 * @property {boolean} safe
 * @property {boolean} nonviolent
 * @property {string} aesthetic "0" to "9", or "" for off
 * @property {number} aestheticWeight
 * @property {"" | "map" | "all"} view "": a grid; "map": the results on a map; "all": a map of the whole index
 * @property {string} back the backend the address bar asks for; "" means the usual one
 */

import { formatLine, parseLine } from "./syntax.js";
import { address, item, words } from "./terms.js";

/**
 * Where several queries are given, the first in the server's own order of precedence holds.
 * @param {string} search the part of the address after "?"
 * @param {Term[] | null} kept the terms of the history entry, where the address cannot tell them
 * @returns {State}
 */
export function readUrl(search, kept = null) {
  const params = new URLSearchParams(search);
  const given = (/** @type {string} */ name) => params.get(name)?.trim() ?? "";
  const number = (/** @type {string} */ name) => (Number.isFinite(parseFloat(given(name))) ? parseFloat(given(name)) : null);
  return {
    terms: kept ?? termsOf(given),
    index: given("index"),
    modality: given("modality") === "text" ? "text" : "image",
    deduplicate: given("deduplicate") !== "false",
    distinct: given("distinct"),
    filter: given("filter"),
    threshold: number("threshold"),
    groupBy: given("group"),
    diversity: Math.min(1, Math.max(0, number("diversity") ?? 0)),
    useMclip: given("useMclip") === "true",
    safe: given("safe") === "true",
    nonviolent: given("nonviolent") === "true",
    aesthetic: /^\d$/.test(given("aesthetic")) ? given("aesthetic") : "",
    aestheticWeight: number("aestheticWeight") ?? 0.5,
    view: viewOf(given("view")),
    back: given("back"),
  };
}

/**
 * The address of a state, relative to the page; what is usual is left out.
 * @param {State} state
 */
export function writeUrl(state) {
  const params = new URLSearchParams();
  const set = (/** @type {string} */ name, /** @type {unknown} */ value) => value && params.set(name, String(value));
  set("back", state.back);
  set("index", state.index);
  set("useMclip", state.useMclip);
  set("safe", state.safe);
  set("nonviolent", state.nonviolent);
  set("aesthetic", state.aesthetic);
  if (state.aesthetic && state.aestheticWeight !== 0.5) set("aestheticWeight", state.aestheticWeight);
  if (state.modality !== "image") set("modality", state.modality);
  if (!state.deduplicate) params.set("deduplicate", "false");
  set("distinct", state.distinct);
  set("group", state.groupBy);
  set("diversity", state.diversity);
  set("filter", state.filter);
  if (state.threshold !== null) params.set("threshold", String(state.threshold));
  set("view", state.view);
  setTerms(params, state.terms);
  const search = params.toString();
  return location.pathname + (search && `?${search}`);
}

/**
 * A name for what is shown: equal for equal states.
 * @param {State} state
 */
export function keyOf(state) {
  return isTold(state.terms) ? writeUrl(state) : `${writeUrl(state)}#${JSON.stringify(state.terms)}`;
}

/**
 * A name for the answer: states that differ in their view only have the same results.
 * @param {State} state
 */
export const questionOf = (state) => keyOf({ ...state, view: "" });

/**
 * @param {string} text
 * @returns {State["view"]}
 */
const viewOf = (text) => (text === "map" || text === "all" ? text : "");

/**
 * Whether an address tells all of these terms.
 * @param {Term[]} terms
 */
export function isTold(terms) {
  const [only] = terms;
  const alone = terms.length === 1 && only?.weight === 1 && only.kind !== "picture";
  return !terms.length || alone || lineOf(terms) !== null;
}

/**
 * The terms in one line; null where a line cannot tell them.
 * @param {Term[]} terms
 */
export function lineOf(terms) {
  const parts = terms.flatMap(({ kind, value, weight }) => (kind === "picture" ? [] : [{ kind, value, weight }]));
  return parts.length === terms.length ? formatLine(parts) : null;
}

/**
 * A lone term has a name of its own, as old links have it; several are a line.
 * @param {URLSearchParams} params
 * @param {Term[]} terms
 */
function setTerms(params, terms) {
  const told = terms.filter(({ kind }) => kind !== "picture");
  const [only] = told;
  if (!only) return;
  const name = { text: "query", url: "imageUrl", id: "id", picture: "" }[only.kind];
  if (terms.length === 1 && only.weight === 1) params.set(name, only.value);
  else if (lineOf(told)) params.set("q", lineOf(told) ?? "");
}

/** @param {(name: string) => string} given @returns {Term[]} */
function termsOf(given) {
  const [line, text, imageUrl, id] = ["q", "query", "imageUrl", "id"].map(given);
  if (line) return readLine(line);
  if (text) return [words(text)];
  if (imageUrl) return [address(imageUrl)];
  return id ? [item(id)] : [];
}

/**
 * A line that makes no sense is words.
 * @param {string} line
 * @returns {Term[]}
 */
function readLine(line) {
  try {
    return parseLine(line).map((part) => ({ ...part, kind: part.kind === "path" ? "text" : part.kind }));
  } catch {
    return [words(line)];
  }
}
