/**
 * Runs searches, and holds what they found. One search at a time: a new one cancels the last. Answers
 * are kept for a while, so that back and forward show at once what was there.
 *
 * @typedef {object} View
 * @property {"start" | "loading" | "ready" | "error"} status
 * @property {import("./api.js").Hit[]} hits everything found; a new list is a new search
 * @property {import("./item.js").Result[]} results the first of them, with what they show
 * @property {ReadonlySet<string>} broken ids of pictures that could not be shown
 * @property {unknown} error why the search failed
 * @property {"idle" | "loading" | "error"} more the next page
 * @property {unknown} moreError
 */

import { wireId } from "./api.js";
import { resultOf } from "./item.js";
import { hasQuery, keyOf } from "./state.js";
import { createStore } from "./store.js";

const PAGE = 60;
const FOUND = 1000;
const KEPT = 12;

/** @type {View} */
const START = { status: "start", hits: [], results: [], broken: new Set(), error: null, more: "idle", moreError: null };

/** @param {import("./api.js").Api} api */
export function createSearch(api) {
  const view = createStore(START);
  /** @type {Map<string, View>} */
  const kept = new Map();
  let running = new AbortController();
  /** @type {import("./state.js").State | undefined} */
  let asked;
  let key = "";

  view.subscribe((now) => {
    if (now.status !== "ready") return;
    kept.delete(key);
    kept.set(key, { ...now, more: "idle" });
    for (const oldest of kept.keys()) if (kept.size > KEPT) kept.delete(oldest);
  });

  /** @param {import("./state.js").State} state @param {boolean} returned show a kept answer if there is one */
  async function run(state, returned = false) {
    running.abort();
    const { signal } = (running = new AbortController());
    asked = state;
    key = keyOf(state);
    const before = returned && kept.get(key);
    if (!hasQuery(state)) return view.set(START);
    // Back to what is still on screen: pictures may have failed since it was kept.
    if (before) return view.set(before.hits === view.get().hits ? { ...before, broken: view.get().broken } : before);
    view.set({ status: "loading", error: null });
    try {
      const config = await api.config();
      const hits = await api.search(requestOf(state, state.index || config.index), signal);
      signal.throwIfAborted();
      const results = hits.slice(0, PAGE).map((hit) => resultOf(hit, config));
      view.set({ ...START, status: "ready", hits, results });
    } catch (error) {
      if (!signal.aborted) view.set({ ...START, status: "error", error });
    }
  }

  /** The next page, unless it is on its way or there is none. */
  async function more() {
    const { status, hits, results, more: stage } = view.get();
    if (status !== "ready" || stage === "loading" || results.length >= hits.length) return;
    const { signal } = running;
    view.set({ more: "loading", moreError: null });
    try {
      const next = hits.slice(results.length, results.length + PAGE);
      const config = await api.config();
      const rows = await api.metadata(next.map((hit) => hit.id), asked?.index || config.index, signal);
      signal.throwIfAborted();
      const found = next.map((hit, i) => resultOf({ ...rows[i], ...hit }, config));
      view.set({ results: [...results, ...found], more: "idle" });
    } catch (error) {
      if (!signal.aborted) view.set({ more: "error", moreError: error });
    }
  }

  return {
    subscribe: view.subscribe,
    get: view.get,
    run,
    more,
    /** @param {string} id a picture that would not load */
    broken: (id) => view.set({ broken: new Set(view.get().broken).add(id) }),
  };
}

/**
 * @param {import("./state.js").State} state
 * @param {string} index
 * @returns {import("./api.js").Request}
 */
function requestOf(state, index) {
  return {
    ...(state.text && { text: state.text }),
    ...(state.picture && { image: state.picture.data.slice(state.picture.data.indexOf(",") + 1) }),
    ...(state.imageUrl && { image_url: state.imageUrl }),
    ...(state.id && { id: wireId(state.id) }),
    ...(index && { indice_name: index }),
    modality: state.modality,
    num_images: PAGE,
    num_result_ids: FOUND,
    deduplicate: state.deduplicate,
    use_mclip: state.useMclip,
  };
}
