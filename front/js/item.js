/**
 * What one hit shows: its picture, its caption, its score.
 *
 * @typedef {object} Result
 * @property {string} id
 * @property {string} caption
 * @property {string} score
 * @property {string} src address of the picture to show; "" where there is none
 * @property {string} href address of the whole picture; "" where there is none
 * @property {import("./api.js").Item} item every column, as the server sent it
 */

import { join } from "./api.js";

const CAPTION_COLUMNS = ["caption", "name", "title", "text", "TEXT"];

/**
 * @param {import("./api.js").Hit} hit
 * @param {import("./api.js").Config} config
 * @returns {Result}
 */
export function resultOf(hit, config) {
  return {
    id: String(hit.id),
    caption: captionOf(hit),
    score: typeof hit.similarity === "number" ? hit.similarity.toFixed(3) : "",
    ...pictureOf(hit, config),
    item: hit,
  };
}

/** @param {import("./api.js").Item} item */
export function captionOf(item) {
  for (const column of CAPTION_COLUMNS) {
    const value = item[column];
    if (typeof value === "string" && value.trim()) return value.trim();
  }
  return "";
}

/**
 * @param {import("./api.js").Item} item
 * @param {import("./api.js").Config} config
 */
export function pictureOf(item, { base, urlColumn }) {
  const address = webAddress(item[urlColumn], base);
  const whole = typeof item.picture_url === "string" ? webAddress(join(base, item.picture_url), base) : "";
  const { image, thumbnail_url: thumbnail } = item;
  if (typeof thumbnail === "string") {
    const size = devicePixelRatio > 1.25 ? 512 : 256;
    const src = new URL(join(base, thumbnail));
    src.searchParams.set("size", String(size));
    return { src: src.href, href: whole || address };
  }
  if (typeof image === "string" && image) return { src: `data:image/jpeg;base64,${image}`, href: whole || address };
  return { src: whole || address, href: whole || address };
}

/**
 * Data decides what is linked: only http and https pass, never a script.
 * @param {unknown} value
 * @param {string} base
 */
function webAddress(value, base) {
  if (typeof value !== "string" || !value || !URL.canParse(value, base)) return "";
  const url = new URL(value, base);
  return url.protocol === "http:" || url.protocol === "https:" ? url.href : "";
}
