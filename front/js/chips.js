/**
 * The terms of a composed query as chips before the box. A chip's face opens its settings; arrow keys on it
 * change the weight, minus turns it round, Delete removes it.
 */

import { byId, make, part, stamp } from "./dom.js";
import { t } from "./language.js";
import { isAddress, isPlain, isSame, labelOf } from "./terms.js";

/** @typedef {import("./terms.js").Term} Term */

const STEP = 0.25;
const MOST = 4;
const list = byId("terms", HTMLUListElement);

/**
 * @param {object} parts
 * @param {import("./state.js").PageState} parts.state
 * @param {(id: string) => Promise<{src: string, caption: string}>} parts.lookUp what an item looks like
 * @param {(term: Term, chip: HTMLElement) => void} parts.onEdit
 */
export function mountChips({ state, lookUp, onEdit }) {
  /** @type {Map<string, HTMLElement>} */
  let chips = new Map();
  state.subscribe(render);
  render();

  function render() {
    const { terms } = state.get();
    const shown = isPlain(terms) ? [] : terms;
    const before = chips;
    chips = new Map();
    for (const term of shown) {
      const key = `${term.kind} ${term.value}`;
      const chip = before.get(key) ?? create(term);
      chips.set(key, chip);
      weigh(chip, term);
    }
    list.hidden = !shown.length;
    const wanted = [...chips.values()];
    // What stays keeps its place in the page, and with it the focus.
    if (wanted.length !== list.children.length || wanted.some((chip, i) => chip !== list.children[i])) {
      list.replaceChildren(...wanted);
    }
  }

  /** @param {Term} term */
  function create(term) {
    const chip = stamp("chip-template");
    const button = part(chip, ".chip-face", HTMLButtonElement);
    const image = part(chip, "img", HTMLImageElement);
    const now = () => state.get().terms.find((other) => isSame(other, term)) ?? term;
    image.addEventListener("error", () => chip.classList.add("faceless"));
    button.addEventListener("click", () => onEdit(now(), button));
    button.addEventListener("keydown", (event) => onKey(event, now()));
    part(chip, ".chip-clear", HTMLButtonElement).addEventListener("click", () => remove(term));
    show(chip, term.kind === "picture" ? term.value : isAddress(term.value) ? term.value : "", labelOf(term));
    if (term.kind === "id") {
      lookUp(term.value).then(({ src, caption }) => {
        show(chip, src, caption || labelOf(term));
        weigh(chip, now());
      });
    }
    return chip;
  }

  /** @param {KeyboardEvent} event @param {Term} term */
  function onKey(event, term) {
    const { key } = event;
    if (key === "Delete" || key === "Backspace") remove(term);
    else if (key === "-") reweigh(state, term, -term.weight);
    else if (key === "ArrowUp") reweigh(state, term, stepped(term.weight, 1));
    else if (key === "ArrowDown") reweigh(state, term, stepped(term.weight, -1));
    else return;
    event.preventDefault();
  }

  /** @param {Term} term */
  function remove(term) {
    state.ask(state.get().terms.filter((other) => !isSame(other, term)));
    byId("query", HTMLInputElement).focus();
  }
}

/**
 * @param {import("./state.js").PageState} state
 * @param {Term} term
 * @param {number} weight
 */
export function reweigh(state, term, weight) {
  state.adjust({ terms: state.get().terms.map((other) => (isSame(other, term) ? { ...other, weight } : other)) });
}

/**
 * Away from 0, where a term would say nothing.
 * @param {number} weight
 * @param {1 | -1} direction
 */
function stepped(weight, direction) {
  const next = Math.min(MOST, Math.max(-MOST, weight + direction * STEP));
  return next === 0 ? direction * STEP : next;
}

/** @param {HTMLElement} chip @param {string} src @param {string} label */
function show(chip, src, label) {
  const image = part(chip, "img", HTMLImageElement);
  chip.classList.toggle("faceless", !src);
  if (src) image.src = src;
  const place = part(chip, ".chip-label", HTMLElement);
  place.replaceChildren(label);
  chip.title = label;
}

/** @param {HTMLElement} chip @param {Term} term */
function weigh(chip, term) {
  const minus = term.weight < 0;
  const size = Math.abs(term.weight);
  const label = part(chip, ".chip-label", HTMLElement).textContent ?? "";
  const weight = part(chip, ".chip-weight", HTMLElement);
  chip.classList.toggle("minus", minus);
  weight.replaceChildren(...(minus ? [make("b", {}, "−")] : []), ...(size === 1 ? [] : [`${size}×`]));
  weight.hidden = !minus && size === 1;
  const said = minus ? t("Away from {what}, weight {weight}: change", { what: label, weight: size })
    : t("{what}, weight {weight}: change", { what: label, weight: size });
  part(chip, ".chip-face", HTMLElement).setAttribute("aria-label", said);
  part(chip, ".chip-clear", HTMLElement).setAttribute("aria-label", t("Remove {what}", { what: label }));
}
