/**
 * What the panel shows of a search beyond its first page: similarities, and how often which values come.
 * Both are of the best thousand results. The values of a column that is filtered by are counted as if it
 * were not, so that others can be chosen too.
 *
 * @typedef {object} Overview
 * @property {number[]} similarities falling
 * @property {Record<string, import("../js/api.js").Facet>} facets
 */

import { searchBody } from "../js/find.js";
import { elementKind } from "./columns.js";
import { readFilter, withClause } from "./expression.js";

const MOST = 1000;

/**
 * @param {import("../js/api.js").Api} api
 * @param {import("../js/url.js").State} state
 * @param {import("../js/api.js").IndexInfo} info
 * @param {AbortSignal} signal
 * @returns {Promise<Overview>}
 */
export async function overview(api, state, info, signal) {
  const types = new Map(info.columns.map(({ name, type }) => [name, type]));
  const counted = [...types].filter(([, type]) => elementKind(type) !== "other").map(([name]) => name);
  // Of a list all chosen elements must be there: its counts go on within the filter.
  const chosen = readFilter(state.filter, types)
    .filter(({ kind }) => kind === "values" || kind === "range")
    .map(({ column }) => column);
  /** @param {string} filter @param {string[]} facets */
  const ask = (filter, facets) => {
    const whole = { ...state, filter, threshold: null, diversity: 0, groupBy: "" };
    const body = { ...searchBody(whole, info.name), k: MOST, columns: [], pictures: "none", facets };
    return api.search(body, signal);
  };
  const [all, ...others] = await Promise.all([
    ask(state.filter, counted.filter((name) => !chosen.includes(name))),
    ...chosen.map((name) => ask(withClause(state.filter, types, name, null), [name])),
  ]);
  const facets = Object.assign({}, all?.facets, ...others.map((answer) => answer.facets));
  return { similarities: (all?.hits ?? []).map(({ similarity }) => similarity), facets };
}
