/** The map beside the grid: fetched when it is looked at, kept for as long as its answer is. */

import { byId, icon, isPlainClick, make, withStyles } from "../js/dom.js";
import { counted, t } from "../js/language.js";
import { inWords, showMessage, toast } from "../js/messages.js";
import { questionOf } from "../js/url.js";
import { onTheme } from "./colours.js";
import { planOfAll, planOfResults } from "./data.js";
import { shelfOf } from "./shelf.js";
import { createStage } from "./stage.js";

/** @typedef {import("../js/on-demand.js").Parts} Parts */
/** @typedef {import("./data.js").Plan} Plan */

/** @type {ReturnType<typeof mount> | undefined} */
let mounted;

/** @param {Parts} parts */
export async function showMap(parts) {
  await withStyles("map");
  mounted ??= mount(parts);
  mounted.show();
}

/** @param {Parts} parts */
function mount(parts) {
  const { search, state } = parts;
  const status = make("p", { class: "map-told", role: "status" });
  const other = make("a", { class: "plain" });
  const place = make("div", { class: "map-place" });
  byId("map", HTMLElement).append(make("div", { class: "map-bar" }, status, other), place);
  /**
   * What a search answered, or the question of a whole map, and its plan.
   * @type {WeakMap<object, Plan>}
   */
  const ofAnswers = new WeakMap();
  /** @type {Map<string, Plan>} */
  const ofWholes = new Map();
  /** @type {import("./stage.js").Stage | null} */
  let stage = null;
  /** @type {unknown} */
  let shown = null;
  let running = new AbortController();

  other.addEventListener("click", (event) => {
    if (!isPlainClick(event)) return;
    event.preventDefault();
    state.go({ view: state.get().view === "all" ? "map" : "all" });
  });
  search.subscribe(show);
  onTheme(() => stage?.recolour());

  function show() {
    const now = state.get();
    if (document.body.dataset.look !== "map") return;
    const isWhole = now.view === "all";
    other.replaceChildren(icon("map"), isWhole ? t("Map of the results") : t("Map of the whole index"));
    other.href = state.link({ view: isWhole ? "map" : "all" });
    other.hidden = isWhole && !now.terms.length;
    const { status: stageOfSearch, answer, results } = search.get();
    if (!isWhole && (stageOfSearch !== "ready" || !results.length)) {
      // The page itself tells what has become of the search.
      if (stageOfSearch !== "loading") clear();
      return;
    }
    const key = isWhole ? questionOf({ ...now, terms: [], filter: "", threshold: null }) : answer;
    if (key === shown) return;
    shown = key;
    load(key, isWhole);
  }

  function clear() {
    running.abort();
    shown = null;
    stage?.leave();
    stage = null;
    status.textContent = "";
    place.replaceChildren();
    byId("map", HTMLElement).removeAttribute("aria-busy");
  }

  /** @param {object | string} key @param {boolean} isWhole */
  async function load(key, isWhole) {
    running.abort();
    const { signal } = (running = new AbortController());
    const kept = typeof key === "string" ? ofWholes.get(key) : ofAnswers.get(key);
    if (kept) return put(kept, isWhole);
    stage?.root.classList.add("stale");
    if (!stage) place.replaceChildren(make("div", { class: "map-stage waiting" }));
    status.textContent = t("Drawing the map…");
    byId("map", HTMLElement).setAttribute("aria-busy", "true");
    try {
      const plan = await (isWhole ? planOfAll : planOfResults)(parts, signal);
      signal.throwIfAborted();
      if (typeof key === "string") ofWholes.set(key, plan);
      else ofAnswers.set(key, plan);
      put(plan, isWhole);
    } catch (error) {
      if (signal.aborted) return;
      clear();
      showMessage(place, inWords(error), show);
    } finally {
      if (!signal.aborted) byId("map", HTMLElement).removeAttribute("aria-busy");
    }
  }

  /** @param {Plan} plan @param {boolean} isWhole */
  function put(plan, isWhole) {
    const hadFocus = place.contains(document.activeElement) || document.activeElement?.id === "map-toggle";
    const count = plan.ids.length;
    stage?.leave();
    const label = isWhole ? t("Map of the whole index") : t("Map of the results");
    stage = createStage(plan, label, (point) => open(plan, plan.ids[point] ?? ""));
    place.replaceChildren(stage.root);
    const told = counted(count, "{n} picture", "{n} pictures");
    status.textContent = isWhole && count < plan.total ? t("{told} of {total}, taken evenly", { told, total: plan.total.toLocaleString() }) : told;
    if (hadFocus) stage.take();
  }

  /** @param {Plan} plan @param {string} id */
  async function open(plan, id) {
    const { openLightbox } = await import("../dialogs/lightbox.js");
    await plan.items.load([id]);
    const shelf = { ...search, ...shelfOf(plan) };
    await openLightbox({ ...parts, search: shelf }, id, (last) => stage?.focus(last)).catch((error) => toast(inWords(error)));
  }

  return { show };
}
