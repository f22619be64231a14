/** What points show: known from the search, or asked for as it is needed, many at a time. */

import { hitOf } from "../js/api.js";
import { resultOf } from "../js/item.js";

const AT_ONCE = 200;
const PAUSE_MS = 40;

/** @typedef {import("../js/item.js").Result} Result */

/**
 * @param {import("../js/api.js").Api} api
 * @param {string} index
 * @param {Result[]} known
 */
export function createItems(api, index, known) {
  const found = new Map(known.map((result) => [result.id, result]));
  /** @type {string[]} */
  let wanted = [];
  let isAsking = false;
  /** @type {() => void} */
  let onChange = () => {};

  /**
   * What cannot be had stays a point without a picture.
   * @param {string[]} ids
   */
  async function load(ids) {
    const missing = ids.filter((id) => !found.has(id));
    if (!missing.length) return;
    const config = await api.config();
    const rows = await api.metadata(missing, index).catch(() => missing.map(() => null));
    missing.forEach((id, i) => found.set(id, resultOf(hitOf({ ...rows[i], id, similarity: null }), config)));
    onChange();
  }

  /** Until nothing is wanted any more; what the map has left meanwhile is not asked for. */
  async function loadWanted() {
    isAsking = true;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    while (wanted.length) {
      const ids = wanted.slice(0, AT_ONCE);
      await load(ids);
      wanted = wanted.filter((id) => !found.has(id));
    }
    isAsking = false;
  }

  return {
    /** @param {string} id @returns {Result | undefined} */
    get: (id) => found.get(id),
    load,
    /**
     * These next, instead of those wanted before.
     * @param {string[]} ids
     */
    want(ids) {
      wanted = ids.filter((id) => !found.has(id));
      if (wanted.length && !isAsking) loadWanted();
    },
    /** @param {() => void} listener called as more is known */
    listen: (listener) => void (onChange = listener),
  };
}

/** @typedef {ReturnType<typeof createItems>} Items */
