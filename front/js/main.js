/**
 * Wiring. What the user does changes the state (the address bar holds it), the state is searched for, and
 * the views are drawn from what was found: always in this direction.
 */

import { createApi } from "./api.js";
import { mountControls, showIndices } from "./controls.js";
import { byId, isPlainClick } from "./dom.js";
import { mountIncoming } from "./incoming.js";
import { captionOf, pictureOf } from "./item.js";
import { NOTHING_FOUND, inWords, showMessage, toast } from "./messages.js";
import { shrink } from "./picture.js";
import { mountQueryInput } from "./query-input.js";
import { mountEndlessScroll, mountResults } from "./results.js";
import { createSearch } from "./search.js";
import { showExamples } from "./start.js";
import { NO_QUERY, byAddress, byId as queryById, byPicture, createState, hasQuery, readUrl } from "./state.js";
import { showStatus } from "./status.js";
import { mountTheme } from "./theme.js";

const api = createApi(readUrl(location.search).back);
const search = createSearch(api);
const state = createState((now, returned) => search.run(now, returned));

mountTheme();
mountControls(state);
mountResults({ search, state });
mountEndlessScroll(search);
mountQueryInput({ state, lookUp, onFile });
mountIncoming({
  file: onFile,
  address: (address) => state.go(byAddress(address)),
  id: (id) => state.go(queryById(id)),
});

const home = byId("home", HTMLAnchorElement);
home.addEventListener("click", (event) => {
  if (!isPlainClick(event)) return;
  event.preventDefault();
  state.go(NO_QUERY);
  byId("query", HTMLInputElement).focus();
});

// A plain jump would be a step in the history, without the picture that is searched for.
byId("skip", HTMLAnchorElement).addEventListener("click", (event) => {
  event.preventDefault();
  byId("results-title", HTMLElement).focus();
});

let connected = false;

search.subscribe((view) => {
  if (!connected && (view.status === "ready" || view.status === "start")) connect();
  document.body.dataset.view = view.status === "start" ? "start" : "results";
  byId("progress", HTMLElement).hidden = view.status !== "loading" && view.more !== "loading";
  showStatus(view);
  const notice = byId("notice", HTMLElement);
  const again = () => void search.run(state.get());
  if (view.status === "error") showMessage(notice, inWords(view.error), again);
  else if (view.status === "ready" && !view.hits.length) showMessage(notice, NOTHING_FOUND);
  else showMessage(notice, null);
  showMessage(byId("more", HTMLElement), view.more === "error" ? inWords(view.moreError) : null, search.more);
});
addEventListener("online", () => search.get().status === "error" && search.run(state.get()));

state.subscribe(render);
render();
connect();
search.run(state.get(), true);
if (!hasQuery(state.get()) && matchMedia("(pointer: fine)").matches) byId("query", HTMLInputElement).focus();

function render() {
  const now = state.get();
  home.href = state.link(NO_QUERY);
  const asked = now.text || now.picture?.name || now.imageUrl || (now.id && `like ${now.id}`);
  document.title = asked ? `${asked} · search_back` : "search_back";
}

/** Learns what the server offers; tried again after a search that went well. */
async function connect() {
  connected = true;
  const config = await api.config();
  const examples = (/** @type {string} */ first) => showExamples(state, state.get().index || config.index || first);
  try {
    const names = await api.indices();
    showIndices(state, names, config.index);
    state.subscribe(() => examples(names[0] ?? ""));
    examples(names[0] ?? "");
    if (!hasQuery(state.get())) showMessage(byId("notice", HTMLElement), null);
  } catch (error) {
    connected = false;
    // A search under way tells of the trouble itself.
    if (!hasQuery(state.get())) showMessage(byId("notice", HTMLElement), inWords(error), connect);
  }
}

/** @param {File} file */
async function onFile(file) {
  try {
    state.go(byPicture(await shrink(file, file.name || "Picture")));
  } catch (error) {
    toast(inWords(error));
  }
}

/** @param {string} id */
async function lookUp(id) {
  try {
    const config = await api.config();
    const [row] = await api.metadata([id], state.get().index || config.index);
    const item = { ...row, id };
    return { src: pictureOf(item, config).src, caption: captionOf(item) };
  } catch {
    return { src: "", caption: "" };
  }
}
