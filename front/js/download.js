/** The results as a file: JSON, CSV, or a list of addresses; the best thousand, with every column. */

import { make } from "./dom.js";
import { searchBody } from "./find.js";
import { pictureOf } from "./item.js";
import { wireId } from "./json.js";
import { t } from "./language.js";
import { toast } from "./messages.js";

const MOST = 1000;
const TYPES = { json: "application/json", csv: "text/csv", txt: "text/plain" };

/** @typedef {{id: string, similarity: number, address: string, metadata: import("./api.js").Columns}} Row */

/**
 * @param {import("./on-demand.js").Parts} parts
 * @param {keyof typeof TYPES} format
 */
export async function download(parts, format) {
  const rows = await rowsOf(parts);
  if (!rows.length) return toast({ title: t("There are no results to download"), text: "" });
  const write = { json: asJson, csv: asCsv, txt: asAddresses }[format];
  const file = new Blob([write(rows)], { type: `${TYPES[format]};charset=utf-8` });
  const link = make("a", { href: URL.createObjectURL(file), download: `results.${format}` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/**
 * An older backend tells what is on the page; the others are asked for the rest.
 * @param {import("./on-demand.js").Parts} parts
 * @returns {Promise<Row[]>}
 */
async function rowsOf({ api, search, state }) {
  const [{ modern, indices }, config] = await Promise.all([api.offer(), api.config()]);
  const now = state.get();
  if (!modern || !now.terms.length) {
    return search.get().results.map(({ id, similarity, href, metadata }) => ({ id, similarity, address: href, metadata }));
  }
  const index = now.index || config.index;
  const info = indices.find(({ name }) => name === index) ?? indices[0];
  const columns = info?.columns.map(({ name }) => name) ?? [];
  const { hits } = await api.search({ ...searchBody(now, index), k: MOST, columns });
  return hits.map((hit) => {
    const { id, similarity, metadata } = hit;
    return { id, similarity, address: pictureOf(hit, config).href, metadata };
  });
}

/** @param {Row[]} rows */
export function asJson(rows) {
  const items = rows.map(({ id, similarity, address, metadata }) => ({ ...metadata, id: wireId(id), similarity, picture: address }));
  return `${JSON.stringify(items, null, 1)}\n`;
}

/**
 * By RFC 4180.
 * @param {Row[]} rows
 */
export function asCsv(rows) {
  const columns = [...new Set(rows.flatMap(({ metadata }) => Object.keys(metadata)))].filter((name) => !["id", "similarity", "picture"].includes(name));
  const lines = rows.map(({ id, similarity, address, metadata }) => [id, similarity, address, ...columns.map((name) => metadata[name])]);
  return [["id", "similarity", "picture", ...columns], ...lines].map((line) => `${line.map(cell).join(",")}\r\n`).join("");
}

/** @param {Row[]} rows */
export function asAddresses(rows) {
  return rows.flatMap(({ address }) => (address ? [`${address}\n`] : [])).join("");
}

/** @param {unknown} value */
function cell(value) {
  if (value === null || value === undefined) return "";
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  // A spreadsheet takes a text that starts so for a formula, and would run it.
  const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
