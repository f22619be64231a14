/** The parts of the page that come with their first use: dialogs, filters, downloads, and their keys. */

import { byId, isTyping } from "./dom.js";
import { inWords, toast } from "./messages.js";
import { step } from "./results.js";
import { countColumns } from "./runs.js";

/**
 * What every such part may use.
 * @typedef {object} Parts
 * @property {import("./api.js").Api} api
 * @property {ReturnType<typeof import("./search.js").createSearch>} search
 * @property {import("./state.js").PageState} state
 * @property {(terms: import("./terms.js").Term[], isAdded: boolean) => void} add
 */

/** @param {Parts} parts */
export function mountOnDemand(parts) {
  const openHelp = () => load(async () => (await import("../dialogs/help.js")).openHelp());
  const openSketch = () => load(async () => (await import("../dialogs/sketch.js")).openSketch(parts));
  const toggleMap = byId("map-toggle", HTMLButtonElement);
  const filters = byId("filters-toggle", HTMLButtonElement);
  const toggleFilters = () => load(async () => (await import("../filters/panel.js")).togglePanel(parts));
  byId("sketch", HTMLButtonElement).addEventListener("click", openSketch);
  byId("help", HTMLButtonElement).addEventListener("click", openHelp);
  filters.addEventListener("click", toggleFilters);
  for (const format of /** @type {const} */ (["json", "csv", "txt"])) {
    byId(`download-${format}`, HTMLButtonElement).addEventListener("click", () => {
      byId("download", HTMLDetailsElement).open = false;
      load(async () => (await import("./download.js")).download(parts, format));
    });
  }

  /** @type {Record<string, () => void>} */
  const keys = { "?": openHelp, f: () => !filters.hidden && filters.click(), d: openSketch, v: () => toggleMap.click(), ...arrows() };
  addEventListener("keydown", (event) => {
    const free = !event.ctrlKey && !event.metaKey && !event.altKey && !isTyping(event.target);
    const key = keys[event.key];
    if (!key || !free || document.querySelector("dialog[open], [popover]:popover-open")) return;
    if (event.key.startsWith("Arrow") && !isOnCard(event.target)) return;
    event.preventDefault();
    key();
  });

  return {
    showMap: () => load(async () => (await import("../map/view.js")).showMap(parts)),
    /** @param {string} id */
    openResult: (id) => load(async () => (await import("../dialogs/lightbox.js")).openLightbox(parts, id)),
    /** @param {import("./terms.js").Term} term @param {HTMLElement} chip */
    editTerm: (term, chip) => load(async () => (await import("../dialogs/term.js")).openTerm(parts, term, chip)),
    /** @param {string} column @param {unknown} value */
    keepOnly: (column, value) => load(async () => (await import("../filters/panel.js")).keepOnly(parts, column, value)),
  };
}

/** Arrow keys go from picture to picture, as they lie on the page. */
function arrows() {
  return {
    ArrowRight: () => step(1),
    ArrowLeft: () => step(-1),
    ArrowDown: () => step(columns()),
    ArrowUp: () => step(-columns()),
  };
}

const columns = () => countColumns(byId("results", HTMLElement));

/** @param {EventTarget | null} target */
function isOnCard(target) {
  return target instanceof Element && target.closest("#results .card") !== null;
}

/** @param {() => Promise<unknown>} use */
async function load(use) {
  try {
    await use();
  } catch (error) {
    toast(inWords(error));
  }
}
