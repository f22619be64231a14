/**
 * A filter as an expression, and as the clauses that the panel's controls stand for. What the controls
 * cannot show is kept as it is written.
 *
 * @typedef {object} Clause
 * @property {"values" | "range" | "has" | "null" | "other"} kind
 * @property {string} column "" for `other`
 * @property {string[]} values of `values` and `has`
 * @property {string} [least] of `range`
 * @property {string} [greatest]
 * @property {string} [text] of `other`
 *
 * @typedef {Map<string, string>} Types columns and their Arrow types
 */

import { elementKind } from "./columns.js";

/** @typedef {{sort: "word" | "number" | "text" | "name" | "sign", text: string, start: number, end: number}} Token */

const TOKEN =
  /(?<word>[\p{L}_][\p{L}\p{N}_]*(?:\.[\p{L}_][\p{L}\p{N}_]*)*)|(?<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)|(?<text>'[^']*(?:''[^']*)*'|"[^"]*(?:""[^"]*)*")|(?<name>`[^`]*(?:``[^`]*)*`)|(?<sign><=|>=|<>|!=|==|[=<>(),.])|\s+/uy;
const WORD = /^[\p{L}_][\p{L}\p{N}_]*$/u;
const KEYWORDS = new Set("and or not in between contains starts ends with is null true false".split(" "));

/** @param {string} text @param {Types} types @returns {Clause[]} */
export function readFilter(text, types) {
  if (!text.trim()) return [];
  const tokens = tokenize(text);
  const parts = tokens && conjuncts(tokens);
  if (!parts) return [other(text.trim())];
  /** @type {Clause[]} */
  const clauses = [];
  for (const part of parts) {
    const clause = readClause(part, types);
    const same = clauses.find(({ column }) => column && column === clause?.column);
    if (clause && same && isJoined(same, clause)) continue;
    clauses.push(clause && !same ? clause : other(text.slice(part[0]?.start, part.at(-1)?.end)));
  }
  return clauses;
}

/**
 * Takes a clause into another of its column, where one control shows both.
 * @param {Clause} into
 * @param {Clause} clause
 */
function isJoined(into, clause) {
  if (into.kind === "has" && clause.kind === "has") into.values.push(...clause.values);
  else if (into.kind !== "range" || clause.kind !== "range") return false;
  else if (into.least ? clause.least : clause.greatest) return false;
  else Object.assign(into, clause, { least: into.least ?? clause.least, greatest: into.greatest ?? clause.greatest });
  return true;
}

/** @param {Clause[]} clauses @param {Types} types */
export function writeFilter(clauses, types) {
  const texts = clauses.map((clause) => writeClause(clause, types)).filter(Boolean);
  const loose = (/** @type {Clause | undefined} */ clause) => clause?.kind === "other" && conjuncts(tokenize(clause.text ?? "") ?? []) === null;
  return texts.map((text, i) => (texts.length > 1 && loose(clauses[i]) ? `(${text})` : text)).join(" and ");
}

/**
 * The filter with another clause for a column, or with none.
 * @param {string} filter
 * @param {Types} types
 * @param {string} column
 * @param {Clause | null} clause
 */
export function withClause(filter, types, column, clause) {
  const clauses = readFilter(filter, types);
  const place = clauses.findIndex((one) => one.column === column);
  const rest = clauses.filter((one) => one.column !== column);
  if (clause) rest.splice(place < 0 ? rest.length : place, 0, clause);
  return writeFilter(rest, types);
}

/** @param {string} text @returns {Clause} */
const other = (text) => ({ kind: "other", column: "", values: [], text });

/** @param {Clause} clause @param {Types} types */
function writeClause({ kind, column, values, least, greatest, text }, types) {
  if (kind === "other") return text ?? "";
  const name = column.split(".").every((part) => WORD.test(part) && !KEYWORDS.has(part.toLowerCase()))
    ? column
    : `\`${column.replaceAll("`", "``")}\``;
  if (kind === "null") return `${name} is null`;
  const bare = ["number", "truth"].includes(elementKind(types.get(column) ?? ""));
  const literal = (/** @type {string} */ value) => (bare ? value : `'${value.replaceAll("'", "''")}'`);
  if (kind === "has") return values.map((value) => `${name} contains ${literal(value)}`).join(" and ");
  if (kind === "values") {
    if (values.length === 1) return `${name} = ${literal(values[0] ?? "")}`;
    return `${name} in (${values.map(literal).join(", ")})`;
  }
  if (least && greatest) return `${name} between ${literal(least)} and ${literal(greatest)}`;
  return least ? `${name} >= ${literal(least)}` : `${name} <= ${literal(greatest ?? "")}`;
}

/** @param {Token[]} tokens @param {Types} types @returns {Clause | null} */
function readClause(tokens, types) {
  const [first, ...rest] = tokens;
  if (!first || (first.sort !== "word" && first.sort !== "name") || !types.has(first.text)) return null;
  const column = first.text;
  const shape = rest.map(({ sort, text }) => (sort === "word" && !isTruth(text) ? text.toLowerCase() : sort === "sign" ? text : "@")).join(" ");
  const values = rest.filter(({ sort, text }) => sort === "number" || sort === "text" || isTruth(text)).map(({ text }) => text);
  const [a, b] = values;
  if (shape === "is null") return { kind: "null", column, values };
  if (shape === "= @" || shape === "== @") return { kind: "values", column, values };
  if (/^in \( @( , @)* \)$/.test(shape)) return { kind: "values", column, values };
  if (/^contains @$/.test(shape)) return { kind: "has", column, values };
  if (shape === "between @ and @" && a && b) return { kind: "range", column, values: [], least: a, greatest: b };
  if (shape === ">= @" && a) return { kind: "range", column, values: [], least: a };
  if (shape === "<= @" && a) return { kind: "range", column, values: [], greatest: a };
  return null;
}

/**
 * What is joined by `and`; null where an `or` or a bracket is wrong.
 * @param {Token[]} tokens
 * @returns {Token[][] | null}
 */
function conjuncts(tokens) {
  /** @type {Token[][]} */
  const parts = [[]];
  let depth = 0;
  let isBetween = false;
  for (const token of tokens) {
    const word = token.sort === "word" ? token.text.toLowerCase() : "";
    if (token.sort === "sign") depth += token.text === "(" ? 1 : token.text === ")" ? -1 : 0;
    if (depth < 0 || (depth === 0 && word === "or")) return null;
    if (word === "between") isBetween = true;
    if (depth === 0 && word === "and" && !isBetween) {
      parts.push([]);
      continue;
    }
    if (word === "and") isBetween = false;
    parts.at(-1)?.push(token);
  }
  return depth === 0 && parts.every((part) => part.length) ? parts : null;
}

/** @param {string} text @returns {Token[] | null} null where a piece is unreadable */
function tokenize(text) {
  /** @type {Token[]} */
  const tokens = [];
  let place = 0;
  while (place < text.length) {
    TOKEN.lastIndex = place;
    const found = TOKEN.exec(text);
    if (!found) return null;
    const [sort, raw] = Object.entries(found.groups ?? {}).find(([, value]) => value !== undefined) ?? [];
    const end = place + found[0].length;
    if (sort && raw) tokens.push({ sort: /** @type {Token["sort"]} */ (sort), text: unquoted(sort, raw), start: place, end });
    place = end;
  }
  return tokens;
}

/** @param {string} sort @param {string} raw */
function unquoted(sort, raw) {
  if (sort !== "text" && sort !== "name") return raw;
  const quote = raw.charAt(0);
  return raw.slice(1, -1).replaceAll(quote + quote, quote);
}

/** @param {string} text */
function isTruth(text) {
  return /^(true|false)$/i.test(text);
}
