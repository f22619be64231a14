/** The page's one state, bound to the browser's history. */

import { createStore } from "./store.js";
import { isTold, keyOf, questionOf, readUrl, writeUrl } from "./url.js";

/** @typedef {import("./url.js").State} State */

const TOP = { y: 0 };

/**
 * `onMove` hears every new search; `returned` is true when it was reached by back or forward, or is the
 * last one, looked at in another way.
 * @param {(state: State, returned: boolean) => void} onMove
 * @param {import("./place.js").Places} places where the window stands
 */
export function createState(onMove, places) {
  const store = createStore(readUrl(location.search, history.state?.terms));
  let entry = history.state?.entry ?? newEntry();
  /** @type {Map<string, import("./place.js").Place>} */
  const left = new Map();

  history.scrollRestoration = "manual";
  history.replaceState({ ...history.state, entry }, "");
  addEventListener("popstate", (event) => {
    left.set(entry, places.now());
    entry = event.state?.entry ?? newEntry();
    store.set(readUrl(location.search, event.state?.terms));
    onMove(store.get(), true);
    places.restore(left.get(entry) ?? TOP);
  });

  /** @param {Partial<State>} patch @param {boolean} isStep whether back leads here again */
  function change(patch, isStep) {
    const before = store.get();
    const place = places.now();
    store.set(patch);
    const now = store.get();
    const isNew = keyOf(now) !== keyOf(before);
    if (isNew) {
      if (isStep) {
        left.set(entry, place);
        entry = newEntry();
      }
      const kept = { entry, terms: isTold(now.terms) ? null : now.terms };
      if (isStep) history.pushState(kept, "", writeUrl(now));
      else history.replaceState(kept, "", writeUrl(now));
      places.restore(TOP);
    }
    onMove(now, isNew && questionOf(now) === questionOf(before));
  }

  return {
    get: store.get,
    subscribe: store.subscribe,
    /**
     * The address `go` would lead to.
     * @param {Partial<State>} patch
     */
    link: (patch) => writeUrl({ ...store.get(), ...patch }),
    /**
     * A new search.
     * @param {Partial<State>} patch
     */
    go: (patch) => change(patch, true),
    /**
     * Asks for something else. A cut-off was for the similarities of the last question, and goes; so does
     * the map of everything, for one of what is found.
     * @param {import("./url.js").Term[]} terms
     */
    ask: (terms) => change({ terms, threshold: null, view: store.get().view && "map" }, true),
    /**
     * The same search, a little different: no step of its own in the history.
     * @param {Partial<State>} patch
     */
    adjust: (patch) => change(patch, false),
  };
}

function newEntry() {
  return Math.random().toString(36).slice(2);
}

/** @typedef {ReturnType<typeof createState>} PageState */
