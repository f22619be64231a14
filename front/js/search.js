/**
 * Runs searches, and holds what they found. One search at a time: a new one cancels the last. Answers
 * are kept for a while, so that back and forward show at once what was there.
 *
 * @typedef {object} View
 * @property {"start" | "loading" | "ready" | "error"} status
 * @property {object} answer which search these results are of; another object is another search
 * @property {import("./item.js").Result[]} results what is shown, page after page
 * @property {import("./find.js").Rest | null} rest what is not shown yet
 * @property {number | null} found how many there are in all, where that is known
 * @property {ReadonlySet<string>} broken ids of pictures that could not be shown
 * @property {unknown} error why the search failed
 * @property {"idle" | "loading" | "error"} more the next page
 * @property {unknown} moreError
 */

import { find } from "./find.js";
import { resultOf } from "./item.js";
import { createStore } from "./store.js";
import { questionOf } from "./url.js";

const KEPT = 12;

/** @type {View} */
const START = {
  status: "start",
  answer: {},
  results: [],
  rest: null,
  found: null,
  broken: new Set(),
  error: null,
  more: "idle",
  moreError: null,
};

/** @param {import("./api.js").Api} api */
export function createSearch(api) {
  const view = createStore(START);
  /** @type {Map<string, View>} */
  const kept = new Map();
  let running = new AbortController();
  /** @type {import("./url.js").State | undefined} */
  let asked;
  let key = "";

  view.subscribe((now) => {
    if (now.status !== "ready") return;
    kept.delete(key);
    kept.set(key, { ...now, more: "idle" });
    for (const oldest of kept.keys()) if (kept.size > KEPT) kept.delete(oldest);
  });

  /** @param {import("./url.js").State} state @param {boolean} returned show a kept answer if there is one */
  async function run(state, returned = false) {
    running.abort();
    const { signal } = (running = new AbortController());
    asked = state;
    key = questionOf(state);
    const before = returned && kept.get(key);
    if (!state.terms.length) return view.set(START);
    // Back to what is still on screen: pictures may have failed since it was kept.
    if (before) return view.set(before.answer === view.get().answer ? { ...before, broken: view.get().broken } : before);
    view.set({ status: "loading", error: null });
    try {
      const config = await api.config();
      const { hits, rest, found } = await find(api, state, null, signal);
      signal.throwIfAborted();
      const results = hits.map((hit) => resultOf(hit, config));
      view.set({ ...START, status: "ready", answer: {}, results, rest, found });
    } catch (error) {
      if (!signal.aborted) view.set({ ...START, status: "error", error });
    }
  }

  /** The next page, unless it is on its way or there is none. */
  async function more() {
    const { status, results, rest, more: stage } = view.get();
    if (status !== "ready" || stage === "loading" || !rest || !asked) return;
    const { signal } = running;
    view.set({ more: "loading", moreError: null });
    try {
      const config = await api.config();
      const next = await find(api, asked, rest, signal);
      signal.throwIfAborted();
      const shown = next.hits.map((hit) => resultOf(hit, config));
      view.set({ results: [...results, ...shown], rest: next.rest, more: "idle" });
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
