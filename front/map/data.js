/**
 * What a map shows: the results of a search, or a sample of the whole index.
 *
 * @typedef {object} Plan
 * @property {string[]} ids
 * @property {Float32Array} xs 0 to 1
 * @property {Float32Array} ys
 * @property {number[]} cluster
 * @property {import("../js/api.js").Cluster[]} clusters
 * @property {"pca" | "tsne"} method
 * @property {number} total how many items the index has
 * @property {import("./items.js").Items} items
 */

import { ApiError } from "../js/api.js";
import { searchBody } from "../js/find.js";
import { resultOf } from "../js/item.js";
import { wireId } from "../js/json.js";
import { t } from "../js/language.js";
import { createItems } from "./items.js";
import { spread } from "./spread.js";

const MOST = 1000; // results
export const SAMPLE = 1500;

/**
 * @param {import("../js/on-demand.js").Parts} parts
 * @param {AbortSignal} signal
 * @returns {Promise<Plan>}
 */
export async function planOfResults({ api, search, state }, signal) {
  const [{ modern, indices }, config] = await Promise.all([api.offer(), api.config()]);
  if (!modern) throw new ApiError("unreadable", t("It draws no maps"));
  const now = state.get();
  const index = now.index || config.index;
  let { results, rest } = search.get();
  if (rest) {
    const info = indices.find(({ name }) => name === (index || indices[0]?.name));
    const columns = info?.columns.filter(({ returned }) => returned).map(({ name }) => name);
    const { hits } = await api.search({ ...searchBody(now, index), k: MOST, ...(columns && { columns }) }, signal);
    results = hits.map((hit) => resultOf(hit, config));
  }
  const ids = results.map(({ id }) => wireId(id));
  const answer = await api.map({ ids, ...whereIn(now, index) }, signal);
  return planOf(answer, createItems(api, index, results));
}

/**
 * @param {import("../js/on-demand.js").Parts} parts
 * @param {AbortSignal} signal
 * @returns {Promise<Plan>}
 */
export async function planOfAll({ api, state }, signal) {
  const [{ modern }, config] = await Promise.all([api.offer(), api.config()]);
  if (!modern) throw new ApiError("unreadable", t("It draws no maps"));
  const now = state.get();
  const index = now.index || config.index;
  const answer = await api.map({ sample: SAMPLE, ...whereIn(now, index) }, signal);
  return planOf(answer, createItems(api, index, []));
}

/** @param {import("../js/url.js").State} state @param {string} index */
function whereIn({ modality }, index) {
  return { modality, ...(index && { index }) };
}

/** @param {import("../js/api.js").MapAnswer} answer @param {import("./items.js").Items} items @returns {Plan} */
function planOf({ ids, x, y, cluster, clusters, method, total }, items) {
  const [xs, ys] = [Float32Array.from(x), Float32Array.from(y)];
  spread(xs, ys);
  return { ids, xs, ys, cluster, clusters, method, total, items };
}
