/**
 * Wiring. What the user does changes the state (the address bar holds it), the state is searched for, and
 * the views are drawn from what was found: always in this direction. What is not needed at once comes with
 * its first use, from `dialogs/` and `filters/`.
 */

import { createApi } from "./api.js";
import { mountChips } from "./chips.js";
import { mountControls, showOffer } from "./controls.js";
import { byId, isPlainClick } from "./dom.js";
import { mountIncoming } from "./incoming.js";
import { lookUpWith } from "./item.js";
import { speak, t } from "./language.js";
import { mountLook } from "./look.js";
import { inWords, nothingFound, showMessage, toast } from "./messages.js";
import { mountOnDemand } from "./on-demand.js";
import { shrink } from "./picture.js";
import { createPlaces } from "./place.js";
import { mountQueryInput } from "./query-input.js";
import { mountEndlessScroll, mountResults } from "./results.js";
import { createSearch } from "./search.js";
import { showExamples } from "./start.js";
import { createState } from "./state.js";
import { showStatus } from "./status.js";
import { address, item, labelOf, withTerm } from "./terms.js";
import { mountTheme } from "./theme.js";
import { readUrl } from "./url.js";

await speak();

const api = createApi(readUrl(location.search).back);
const search = createSearch(api);
const places = createPlaces(byId("results", HTMLElement));
const state = createState((now, returned) => search.run(now, returned), places);
const lookUpAnywhere = lookUpWith(api, () => state.get().index);
const onDemand = mountOnDemand({ api, search, state, add });
let composes = true;

mountTheme();
mountControls(state);
// Before the results come: what is hidden has no columns to lie in.
search.subscribe(({ status }) => {
  document.body.dataset.view = status === "start" && state.get().view !== "all" ? "start" : "results";
});
mountResults({
  search,
  state,
  doing: {
    similarLink: (id) => state.link({ terms: [item(id)], threshold: null }),
    similar: (id) => state.ask([item(id)]),
    weigh: (id, weight) => state.ask(withTerm(state.get().terms, item(id, weight))),
    open: onDemand.openResult,
    missing: search.broken,
  },
  onGroup: onDemand.keepOnly,
});
mountEndlessScroll(search);
mountLook(state, onDemand.showMap);
mountChips({ state, lookUp, onEdit: onDemand.editTerm });
const box = mountQueryInput({ state, composes: () => composes, onFiles: (files) => takeFiles(files, true) });
mountIncoming({
  files: takeFiles,
  address: (url, isAdded) => add([address(url)], isAdded),
  id: (id, isAdded) => add([item(id)], isAdded),
  canAdd: () => composes && state.get().terms.length > 0,
});

const home = byId("home", HTMLAnchorElement);
home.addEventListener("click", (event) => {
  if (!isPlainClick(event)) return;
  event.preventDefault();
  state.go({ ...state.get(), terms: [], filter: "", threshold: null, view: "" });
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
  byId("progress", HTMLElement).hidden = view.status !== "loading" && view.more !== "loading";
  showStatus(view);
  const notice = byId("notice", HTMLElement);
  const again = () => void search.run(state.get());
  const { filter, threshold } = state.get();
  if (view.status === "error") showMessage(notice, inWords(view.error), again);
  else if (view.status !== "ready" || view.results.length) showMessage(notice, null);
  else showMessage(notice, nothingFound(Boolean(filter) || threshold !== null));
  showMessage(byId("more", HTMLElement), view.more === "error" ? inWords(view.moreError) : null, search.more);
});
addEventListener("online", () => search.get().status === "error" && search.run(state.get()));

state.subscribe(render);
render();
connect();
search.run(state.get(), true);
if (!state.get().terms.length && !state.get().view && matchMedia("(pointer: fine)").matches) byId("query", HTMLInputElement).focus();
document.documentElement.dataset.ready = "";

function render() {
  const { terms, filter, threshold, groupBy, diversity } = state.get();
  home.href = state.link({ terms: [], filter: "", threshold: null, view: "" });
  const asked = terms.map((term) => (term.weight < 0 ? "− " : "") + labelOf(term)).join(" + ").replaceAll("+ −", "−");
  const narrowing = Number(Boolean(filter)) + Number(threshold !== null) + Number(Boolean(groupBy)) + Number(diversity > 0);
  const badge = byId("filters-count", HTMLElement);
  badge.hidden = !narrowing;
  badge.textContent = String(narrowing);
  document.title = asked ? `${asked} · search_back` : "search_back";
}

/** Learns what the server offers; tried again after a search that went well. */
async function connect() {
  connected = true;
  const notice = byId("notice", HTMLElement);
  try {
    const [config, offer] = await Promise.all([api.config(), api.offer()]);
    composes = offer.modern;
    const examples = () => showExamples(state, state.get().index || config.index || offer.indices[0]?.name || "");
    showOffer(state, offer, config);
    box.refresh();
    state.subscribe(examples);
    examples();
    if (!state.get().terms.length) showMessage(notice, null);
  } catch (error) {
    connected = false;
    // A search under way tells of the trouble itself.
    if (!state.get().terms.length) showMessage(notice, inWords(error), connect);
  }
}

/**
 * What an item looks like: as a rule it is on the page, and its chip need not change its size later.
 * @param {string} id
 */
async function lookUp(id) {
  return search.get().results.find((result) => result.id === id) ?? lookUpAnywhere(id);
}

/** @param {File[]} files @param {boolean} isAdded */
async function takeFiles(files, isAdded) {
  const shrunk = await Promise.allSettled(files.map((file) => shrink(file, file.name || t("Picture"))));
  for (const one of shrunk) if (one.status === "rejected") toast(inWords(one.reason));
  const terms = shrunk.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  if (terms.length) add(terms, isAdded);
}

/**
 * Searches for these, or for these beside what is searched for already.
 * @param {import("./terms.js").Term[]} terms
 * @param {boolean} isAdded
 */
function add(terms, isAdded) {
  if (!composes) state.ask(terms.slice(0, 1));
  else state.ask(isAdded ? terms.reduce(withTerm, state.get().terms) : terms);
}
