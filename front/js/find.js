/**
 * One search, page by page, against whichever kind of backend there is.
 *
 * @typedef {object} Rest what is left of a search
 * @property {string} [cursor] where /v1/search goes on
 * @property {import("./api.js").Hit[]} [hits] ids that an older backend found and told nothing else about
 *
 * @typedef {{hits: import("./api.js").Hit[], rest: Rest | null, found: number | null}} Found
 * `found`: how many there are in all, where that is known
 */

import { hitOf } from "./api.js";
import { wireTerm } from "./terms.js";

const PAGE = 60;
const MOST = 1000;
const PER_GROUP = 12;

/**
 * @param {import("./api.js").Api} api
 * @param {import("./url.js").State} state
 * @param {Rest | null} rest null for the first page
 * @param {AbortSignal} signal
 * @returns {Promise<Found>}
 */
export async function find(api, state, rest, signal) {
  const [{ modern, indices }, config] = await Promise.all([api.offer(), api.config()]);
  signal.throwIfAborted();
  const index = state.index || config.index;
  if (!modern) return rest?.hits ? remembered(api, rest.hits, index, signal) : findOld(api, state, index, signal);
  const columns = indices.find(({ name }) => name === (index || indices[0]?.name))?.columns;
  const shown = columns?.filter(({ name, returned }) => returned || name === state.groupBy).map(({ name }) => name);
  const body = {
    ...searchBody(state, index),
    k: PAGE,
    placeholders: true,
    ...(shown && { columns: shown }),
    ...(rest?.cursor && { cursor: rest.cursor }),
  };
  const { hits, cursor } = await api.search(body, signal);
  return { hits, rest: cursor ? { cursor } : null, found: null };
}

/**
 * What is searched for, as /v1/search takes it; how much of it is shown is left open.
 * @param {import("./url.js").State} state
 * @param {string} index
 */
export function searchBody(state, index) {
  return {
    query: state.terms.map((term) => ({ ...wireTerm(term), ...(term.weight !== 1 && { weight: term.weight }) })),
    ...(index && { index }),
    modality: state.modality,
    deduplicate: state.deduplicate,
    ...(state.distinct && { deduplicate_by: state.distinct }),
    ...(state.filter && { filter: state.filter }),
    ...(state.threshold !== null && { threshold: state.threshold }),
    ...(state.groupBy && { group_by: state.groupBy, per_group: PER_GROUP }),
    ...(state.diversity && { diversity: state.diversity }),
    ...wishesOf(state),
  };
}

/** @param {import("./url.js").State} state */
function wishesOf(state) {
  return {
    ...(state.useMclip && { use_mclip: true }),
    ...(state.safe && { use_safety_model: true }),
    ...(state.nonviolent && { use_violence_detector: true }),
    ...(state.aesthetic && { aesthetic_score: Number(state.aesthetic), aesthetic_weight: state.aestheticWeight }),
  };
}

/**
 * An older backend takes one thing without a weight.
 * @param {import("./api.js").Api} api
 * @param {import("./url.js").State} state
 * @param {string} index
 * @param {AbortSignal} signal
 * @returns {Promise<Found>}
 */
async function findOld(api, state, index, signal) {
  const [term] = state.terms;
  const body = {
    ...(term && wireTerm(term)),
    ...(index && { indice_name: index }),
    modality: state.modality,
    num_images: PAGE,
    num_result_ids: MOST,
    deduplicate: state.deduplicate,
    use_mclip: state.useMclip,
    ...wishesOf(state),
  };
  const hits = await api.knn(body, signal);
  const left = hits.slice(PAGE);
  return { hits: hits.slice(0, PAGE), rest: left.length ? { hits: left } : null, found: hits.length };
}

/**
 * The next of the hits that came without metadata.
 * @param {import("./api.js").Api} api
 * @param {import("./api.js").Hit[]} hits
 * @param {string} index
 * @param {AbortSignal} signal
 * @returns {Promise<Found>}
 */
async function remembered(api, hits, index, signal) {
  const next = hits.slice(0, PAGE);
  const rows = await api.metadata(next.map(({ id }) => id), index, signal);
  const left = hits.slice(PAGE);
  return {
    hits: next.map(({ id, similarity }, i) => hitOf({ ...rows[i], id, similarity })),
    rest: left.length ? { hits: left } : null,
    found: null,
  };
}
