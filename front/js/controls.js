/** The index selector and the options. What changes the search is state; what changes its look is kept here. */

import { byId, make, part } from "./dom.js";
import { LANGUAGES, choose, spoken } from "./language.js";
import { recall, remember } from "./prefs.js";

/** @typedef {import("./state.js").PageState} PageState */

/** The wish that a control makes, by the names of the wire: without its model there is no control. */
const WISHES = {
  "use-mclip": "use_mclip",
  safe: "use_safety_model",
  nonviolent: "use_violence_detector",
  aesthetic: "aesthetic_score",
};

/** @param {PageState} state */
export function mountControls(state) {
  const modality = byId("modality", HTMLSelectElement);
  const aesthetic = byId("aesthetic", HTMLSelectElement);
  const weight = byId("aesthetic-weight", HTMLInputElement);
  modality.addEventListener("change", () => state.go({ modality: modality.value === "text" ? "text" : "image" }));
  aesthetic.append(...Array.from({ length: 10 }, (_, score) => make("option", { value: score }, String(score))));
  aesthetic.addEventListener("change", () => state.go({ aesthetic: aesthetic.value }));
  weight.addEventListener("change", () => state.adjust({ aestheticWeight: weight.valueAsNumber }));
  const switches = [
    bind(state, "deduplicate", "deduplicate"),
    bind(state, "use-mclip", "useMclip"),
    bind(state, "safe", "safe"),
    bind(state, "nonviolent", "nonviolent"),
  ];
  const render = () => {
    const now = state.get();
    modality.value = now.modality;
    aesthetic.value = now.aesthetic;
    weight.valueAsNumber = now.aestheticWeight;
    byId("aesthetic-weight-row", HTMLElement).hidden = !now.aesthetic;
    for (const show of switches) show();
  };
  state.subscribe(render);
  render();
  mountLook("captions", "shown");
  mountLook("whole-captions", "hidden");
  mountLook("scores", "shown");
  mountLanguages();
  for (const details of document.querySelectorAll("details.menu")) {
    if (details instanceof HTMLDetailsElement) closeOnLeaving(details);
  }
}

/**
 * Shows what the index has models and columns for. An older backend tells nothing: there, as ever, wishes
 * are made and may not be heard.
 * @param {PageState} state
 * @param {import("./api.js").Offer} offer
 * @param {import("./api.js").Config} config
 */
export function showOffer(state, { modern, indices }, { index: usual, urlColumn }) {
  const names = indices.map(({ name }) => name);
  const select = byId("index", HTMLSelectElement);
  const distinct = byId("distinct", HTMLInputElement);
  document.body.classList.toggle("modern", modern);
  const render = () => {
    const chosen = state.get().index || usual || names[0] || "";
    const info = indices.find(({ name }) => name === chosen);
    const all = names.includes(chosen) || !chosen ? names : [...names, chosen];
    select.replaceChildren(...all.map((name) => new Option(name, name)));
    select.value = chosen;
    byId("index-choice", HTMLElement).hidden = all.length < 2;
    for (const [id, wish] of Object.entries(WISHES)) {
      byId(`${id}-row`, HTMLElement).hidden = modern && !info?.wishes.includes(wish);
    }
    byId("distinct-row", HTMLElement).hidden = !info?.columns.some(({ name }) => name === urlColumn);
    distinct.checked = state.get().distinct === urlColumn;
  };
  distinct.onchange = () => state.go({ distinct: distinct.checked ? urlColumn : "" });
  // Items, filters and groups belong to their index, and do not move to another one.
  select.onchange = () =>
    state.go({
      index: select.value,
      terms: state.get().terms.filter(({ kind }) => kind !== "id"),
      filter: "",
      threshold: null,
      groupBy: "",
      distinct: "",
    });
  state.subscribe(render);
  render();
}

/**
 * A switch of the state.
 * @param {PageState} state
 * @param {string} id
 * @param {"deduplicate" | "useMclip" | "safe" | "nonviolent"} name
 */
function bind(state, id, name) {
  const box = byId(id, HTMLInputElement);
  box.addEventListener("change", () => state.go({ [name]: box.checked }));
  return () => (box.checked = state.get()[name]);
}

/** @param {string} what @param {"shown" | "hidden"} usual */
function mountLook(what, usual) {
  const box = byId(`show-${what}`, HTMLInputElement);
  const grid = byId("results", HTMLElement);
  const render = () => grid.classList.toggle(`no-${what}`, !box.checked);
  box.checked = (recall(what) ?? usual) === "shown";
  box.addEventListener("change", () => {
    remember(what, box.checked ? "shown" : "hidden");
    render();
  });
  render();
}

function mountLanguages() {
  const select = byId("language", HTMLSelectElement);
  select.append(...Object.entries(LANGUAGES).map(([tag, name]) => make("option", { value: tag, lang: tag }, name)));
  select.value = spoken();
  select.addEventListener("change", () => choose(select.value));
}

/** @param {HTMLDetailsElement} details */
function closeOnLeaving(details) {
  addEventListener("click", (event) => {
    if (event.target instanceof Node && !details.contains(event.target)) details.open = false;
  });
  details.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    details.open = false;
    part(details, "summary", HTMLElement).focus();
  });
}
