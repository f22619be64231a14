/**
 * What is searched for, and how. The address bar holds it; a picture from this computer does not fit
 * there and travels in the history entry instead, so back and forward find it again.
 *
 * @typedef {{data: string, name: string}} Picture a data: URL, already scaled down
 *
 * @typedef {object} State
 * @property {string} text
 * @property {string} imageUrl
 * @property {string} id an item of the index; opaque
 * @property {Picture | null} picture
 * @property {string} index "" means the server's first or default one
 * @property {"image" | "text"} modality
 * @property {boolean} deduplicate
 * @property {boolean} useMclip
 * @property {string} back the backend the address bar asks for; "" means the usual one
 */

import { createStore } from "./store.js";

/** @typedef {Pick<State, "text" | "imageUrl" | "id" | "picture">} Query one of them is filled */

/** @type {Query} */
export const NO_QUERY = { text: "", imageUrl: "", id: "", picture: null };

/** @param {string} text @returns {Query} */
export const byText = (text) => ({ ...NO_QUERY, text });
/** @param {string} imageUrl @returns {Query} */
export const byAddress = (imageUrl) => ({ ...NO_QUERY, imageUrl });
/** @param {string} id @returns {Query} */
export const byId = (id) => ({ ...NO_QUERY, id });
/** @param {Picture} picture @returns {Query} */
export const byPicture = (picture) => ({ ...NO_QUERY, picture });

/** @param {Query} state */
export function hasQuery(state) {
  return Boolean(state.text || state.imageUrl || state.id || state.picture);
}

/** @param {string} text is it the address of something on the web? */
export function isAddress(text) {
  return /^https?:\/\/\S+$/i.test(text.trim()) && URL.canParse(text.trim());
}

/**
 * Where several queries are given, the first in the server's own order of precedence holds.
 * @param {string} search the part of the address after "?"
 * @param {Picture | null} picture
 * @returns {State}
 */
export function readUrl(search, picture = null) {
  const params = new URLSearchParams(search);
  const given = (/** @type {string} */ name) => params.get(name)?.trim() ?? "";
  const [text, imageUrl, id] = [given("query"), given("imageUrl"), given("id")];
  const query =
    text ? byText(text) : picture ? byPicture(picture) : imageUrl ? byAddress(imageUrl) : byId(id);
  return {
    ...query,
    index: given("index"),
    modality: given("modality") === "text" ? "text" : "image",
    deduplicate: given("deduplicate") !== "false",
    useMclip: given("useMclip") === "true",
    back: given("back"),
  };
}

/** The address of a state, relative to the page; what is usual is left out. @param {State} state */
export function writeUrl(state) {
  const params = new URLSearchParams();
  if (state.back) params.set("back", state.back);
  if (state.index) params.set("index", state.index);
  if (state.useMclip) params.set("useMclip", "true");
  if (state.modality !== "image") params.set("modality", state.modality);
  if (!state.deduplicate) params.set("deduplicate", "false");
  if (state.text) params.set("query", state.text);
  if (state.imageUrl) params.set("imageUrl", state.imageUrl);
  if (state.id) params.set("id", state.id);
  const search = params.toString();
  return location.pathname + (search && `?${search}`);
}

/** A name for the answer: two equal states have the same results. @param {State} state */
export function keyOf(state) {
  return writeUrl(state) + (state.picture ? `#${state.picture.data}` : "");
}

/**
 * The page's one state, bound to the browser's history. `onMove` hears every new search; `returned` is
 * true when it was reached by back or forward.
 * @param {(state: State, returned: boolean) => void} onMove
 */
export function createState(onMove) {
  const store = createStore(readUrl(location.search, history.state?.picture));
  let entry = history.state?.entry ?? newEntry();
  /** @type {Map<string, number>} */
  const scrolled = new Map();

  history.scrollRestoration = "manual";
  history.replaceState({ ...history.state, entry }, "");
  addEventListener("scroll", () => scrolled.set(entry, scrollY), { passive: true });
  addEventListener("popstate", (event) => {
    entry = event.state?.entry ?? newEntry();
    const top = scrolled.get(entry) ?? 0;
    store.set(readUrl(location.search, event.state?.picture));
    onMove(store.get(), true);
    scrollTo(0, top);
  });

  return {
    get: store.get,
    subscribe: store.subscribe,
    /** The address `go` would lead to. @param {Partial<State>} patch */
    link: (patch) => writeUrl({ ...store.get(), ...patch }),
    /** @param {Partial<State>} patch */
    go(patch) {
      const before = keyOf(store.get());
      store.set(patch);
      const now = store.get();
      if (keyOf(now) !== before) {
        entry = newEntry();
        history.pushState({ entry, picture: now.picture }, "", writeUrl(now));
        scrollTo(0, 0);
      }
      onMove(now, false);
    },
  };
}

function newEntry() {
  return Math.random().toString(36).slice(2);
}

/** @typedef {ReturnType<typeof createState>} PageState */
