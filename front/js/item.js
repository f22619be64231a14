/**
 * What one hit shows: its picture, its caption, its score.
 *
 * @typedef {object} Result
 * @property {string} id
 * @property {string} caption
 * @property {string} score
 * @property {number} similarity
 * @property {string} src address of the picture to show; "" where there is none
 * @property {string} href address of the whole picture; "" where there is none
 * @property {string} placeholder address of what it looks like from afar; "" where that is not known
 * @property {import("./api.js").Columns} metadata
 */

import { canParse, hitOf, join } from "./api.js";

/** Of a BMP of 4 × 4 pixels, from the top, in base64. */
const BMP = "data:image/bmp;base64,Qk1mAAAAAAAAADYAAAAoAAAABAAAAPz///8BABgAAAAAADAAAAATCwAAEwsAAAAAAAAAAAAA";
/** Whatever else a backend sends is no picture, and no other address either. */
const PIXELS = /^[A-Za-z0-9+/]{64}$/;

const CAPTION_COLUMNS = ["caption", "name", "title", "text", "TEXT"];

/**
 * @param {import("./api.js").Hit} hit
 * @param {import("./api.js").Config} config
 * @returns {Result}
 */
export function resultOf(hit, config) {
  const { id, similarity, metadata } = hit;
  return {
    id,
    caption: captionOf(metadata),
    score: Number.isFinite(similarity) ? similarity.toFixed(3) : "",
    similarity,
    ...pictureOf(hit, config),
    placeholder: PIXELS.test(hit.placeholder ?? "") ? BMP + hit.placeholder : "",
    metadata,
  };
}

/** @param {import("./api.js").Columns} metadata */
export function captionOf(metadata) {
  for (const column of CAPTION_COLUMNS) {
    const value = metadata[column];
    if (typeof value === "string" && value.trim()) return value.trim();
  }
  return "";
}

/**
 * @param {Pick<import("./api.js").Hit, "metadata" | "image" | "thumbnail_url" | "picture_url">} hit
 * @param {import("./api.js").Config} config
 */
export function pictureOf({ metadata, image, thumbnail_url, picture_url }, { base, urlColumn }) {
  const address = webAddress(metadata[urlColumn], base);
  const whole = picture_url ? webAddress(join(base, picture_url), base) : "";
  if (thumbnail_url) {
    const src = new URL(join(base, thumbnail_url));
    src.searchParams.set("size", devicePixelRatio > 1.25 ? "512" : "256");
    return { src: src.href, href: whole || address };
  }
  if (image) return { src: `data:image/jpeg;base64,${image}`, href: whole || address };
  return { src: whole || address, href: whole || address };
}

/**
 * Data decides what is linked: only http and https pass, never a script.
 * @param {unknown} value
 * @param {string} base
 */
function webAddress(value, base) {
  if (typeof value !== "string" || !value || !canParse(value, base)) return "";
  const url = new URL(value, base);
  return url.protocol === "http:" || url.protocol === "https:" ? url.href : "";
}

/**
 * What an item of the index looks like, asked for once.
 * @param {import("./api.js").Api} api
 * @param {() => string} index the one that is searched
 */
export function lookUpWith(api, index) {
  /** @type {Map<string, Promise<{src: string, caption: string}>>} */
  const known = new Map();
  /** @param {string} id */
  async function ask(id) {
    try {
      const config = await api.config();
      const [row] = await api.metadata([id], index() || config.index);
      const hit = hitOf({ ...row, id });
      return { src: pictureOf(hit, config).src, caption: captionOf(hit.metadata) };
    } catch {
      return { src: "", caption: "" };
    }
  }
  return (/** @type {string} */ id) => {
    const key = `${index()} ${id}`;
    const answer = known.get(key) ?? ask(id);
    known.set(key, answer);
    return answer;
  };
}
