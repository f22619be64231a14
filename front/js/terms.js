/**
 * What is searched for: words, pictures, addresses and items, each with a weight.
 *
 * @typedef {object} Term
 * @property {"text" | "picture" | "url" | "id"} kind
 * @property {string} value words, a data: URL already scaled down, an address, or an id
 * @property {number} weight below 0: away from it
 * @property {string} [name] what a picture is called
 */

import { canParse } from "./api.js";
import { wireId } from "./json.js";

/** @param {string} value @param {number} [weight] @returns {Term} */
export const words = (value, weight = 1) => ({ kind: "text", value, weight });
/** @param {string} value @param {number} [weight] @returns {Term} */
export const address = (value, weight = 1) => ({ kind: "url", value, weight });
/** @param {string} value @param {number} [weight] @returns {Term} */
export const item = (value, weight = 1) => ({ kind: "id", value, weight });
/** @param {string} value @param {string} name @returns {Term} */
export const picture = (value, name) => ({ kind: "picture", value, weight: 1, name });

/**
 * A lone text of weight 1 stands in the box; everything else is shown as chips.
 * @param {Term[]} terms
 */
export function isPlain(terms) {
  return terms.length === 1 && terms[0]?.kind === "text" && terms[0].weight === 1;
}

/**
 * Is it the address of something on the web?
 * @param {string} text
 */
export function isAddress(text) {
  return /^https?:\/\/\S+$/i.test(text.trim()) && canParse(text.trim());
}

/** @param {Term} term what a person would call it */
export function labelOf({ kind, value, name }) {
  if (kind === "picture") return name || "";
  if (kind === "id") return `#${value}`;
  return kind === "url" && isAddress(value) ? new URL(value).hostname : value;
}

/**
 * By the names of /v1/search, and of /knn-service.
 * @param {Term} term
 */
export function wireTerm({ kind, value }) {
  switch (kind) {
    case "text":
      return { text: value };
    case "picture":
      return { image: value.slice(value.indexOf(",") + 1) };
    case "url":
      return { image_url: value };
    case "id":
      return { id: wireId(value) };
  }
}

/** @param {Term} a @param {Term} b */
export function isSame(a, b) {
  return a.kind === b.kind && a.value === b.value;
}

/**
 * One more term; said again, a term takes the new weight.
 * @param {Term[]} terms
 * @param {Term} term
 */
export function withTerm(terms, term) {
  return [...terms.filter((other) => !isSame(other, term)), term];
}
