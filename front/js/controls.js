/** The index selector and the options. What changes the search is state; what changes its look is kept here. */

import { byId, part } from "./dom.js";
import { recall, remember } from "./prefs.js";

const options = byId("options", HTMLDetailsElement);

/** @param {import("./state.js").PageState} state */
export function mountControls(state) {
  const modality = byId("modality", HTMLSelectElement);
  const deduplicate = byId("deduplicate", HTMLInputElement);
  modality.addEventListener("change", () => state.go({ modality: modality.value === "text" ? "text" : "image" }));
  deduplicate.addEventListener("change", () => state.go({ deduplicate: deduplicate.checked }));
  const render = () => {
    modality.value = state.get().modality;
    deduplicate.checked = state.get().deduplicate;
  };
  state.subscribe(render);
  render();
  mountLook("captions");
  mountLook("scores");

  addEventListener("click", (event) => {
    if (event.target instanceof Node && !options.contains(event.target)) options.open = false;
  });
  options.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    options.open = false;
    part(options, "summary", HTMLElement).focus();
  });
}

/**
 * One index needs no choice. An id belongs to its index, so it does not move to another one.
 * @param {import("./state.js").PageState} state
 * @param {string[]} names
 * @param {string} usual the index searched where none is named
 */
export function showIndices(state, names, usual) {
  const select = byId("index", HTMLSelectElement);
  const render = () => {
    const chosen = state.get().index || usual || names[0] || "";
    const all = names.includes(chosen) || !chosen ? names : [...names, chosen];
    select.replaceChildren(...all.map((name) => new Option(name, name)));
    select.value = chosen;
    byId("index-choice", HTMLElement).hidden = all.length < 2;
  };
  select.onchange = () => state.go({ index: select.value, id: "" });
  state.subscribe(render);
  render();
}

/** @param {"captions" | "scores"} what */
function mountLook(what) {
  const box = byId(`show-${what}`, HTMLInputElement);
  const grid = byId("results", HTMLElement);
  const render = () => grid.classList.toggle(`no-${what}`, !box.checked);
  box.checked = recall(what) !== "hidden";
  box.addEventListener("change", () => {
    remember(what, box.checked ? "shown" : "hidden");
    render();
  });
  render();
}
