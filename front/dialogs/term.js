/** The settings of one term, in a popover at its chip: weight, direction, words, a part of its picture. */

import { byId, make, withStyles } from "../js/dom.js";
import { t } from "../js/language.js";
import { inWords, toast } from "../js/messages.js";
import { isSame } from "../js/terms.js";
import { action } from "./dialog.js";
import { openRegion } from "./region.js";

/** @typedef {import("../js/terms.js").Term} Term */

/**
 * @param {import("../js/on-demand.js").Parts} parts
 * @param {Term} term
 * @param {HTMLElement} chip the button that it belongs to
 */
export async function openTerm({ api, state }, term, chip) {
  await withStyles("dialogs");
  document.getElementById("term")?.remove();
  const isModern = document.body.classList.contains("modern");
  const panel = make("div", { id: "term", popover: "auto", role: "dialog", "aria-label": t("Settings of the term") });

  /** @param {Partial<Term>} patch */
  const change = (patch) => {
    const before = term;
    term = { ...term, ...patch };
    state.adjust({ terms: state.get().terms.map((other) => (isSame(other, before) ? term : other)) });
  };
  if (term.kind === "text") panel.append(wordsField(term, (value) => change({ value })));
  if (isModern) panel.append(...weightFields(term, (weight) => change({ weight })));
  if (term.kind !== "text") {
    panel.append(
      action("crop", t("Search a part of it"), async () => {
        panel.hidePopover();
        try {
          await openRegion(api, state, term);
        } catch (error) {
          toast(inWords(error));
        }
      }),
    );
  }
  panel.append(
    action("close", t("Remove"), () => {
      panel.hidePopover();
      state.ask(state.get().terms.filter((other) => !isSame(other, term)));
      byId("query", HTMLInputElement).focus();
    }),
  );
  panel.addEventListener("toggle", (event) => {
    if (/** @type {ToggleEvent} */ (event).newState === "closed") panel.remove();
  });
  document.body.append(panel);
  panel.showPopover();
  const { left, bottom } = chip.getBoundingClientRect();
  panel.style.left = `${Math.max(8, Math.min(left, innerWidth - panel.offsetWidth - 8))}px`;
  panel.style.top = `${bottom + 8}px`;
  panel.querySelector("input")?.focus();
}

/** @param {Term} term @param {(value: string) => void} onChange */
function wordsField(term, onChange) {
  const input = make("input", { type: "text", value: term.value, spellcheck: "false" });
  input.addEventListener("change", () => input.value.trim() && onChange(input.value.trim()));
  return make("label", { class: "field" }, make("span", {}, t("Words")), input);
}

/** @param {Term} term @param {(weight: number) => void} onChange */
function weightFields(term, onChange) {
  const size = Math.abs(term.weight);
  const range = make("input", { type: "range", min: 0.25, max: Math.max(4, size), step: 0.25, value: size });
  const told = make("span", { class: "told" }, `${size}×`);
  const away = make("input", { type: "checkbox", class: "switch" });
  away.checked = term.weight < 0;
  const tell = () => onChange(range.valueAsNumber * (away.checked ? -1 : 1));
  range.addEventListener("input", () => told.replaceChildren(`${range.valueAsNumber}×`));
  range.addEventListener("change", tell);
  away.addEventListener("change", tell);
  return [
    make("label", { class: "field" }, make("span", {}, t("Weight"), told), range),
    make("label", { class: "row" }, make("span", {}, t("Away from it")), away),
  ];
}
