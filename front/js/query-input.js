/**
 * The search bar's box. A lone text is written in it; whatever else is searched for stands before it as
 * chips, and what is written then is added to them.
 */

import { byId, isTyping } from "./dom.js";
import { t } from "./language.js";
import { BadLine, formatLine, parseLine } from "./syntax.js";
import { address, isAddress, isPlain, withTerm, words } from "./terms.js";

/** @typedef {import("./terms.js").Term} Term */

const form = byId("search", HTMLFormElement);
const box = byId("query", HTMLInputElement);
const problem = byId("query-problem", HTMLElement);

/** @type {Record<string, string>} */
const REMEDIES = {
  "the query is empty": "Write what to look for.",
  "a weight is above 1000": "Use a smaller weight, or quote the words.",
  "a quote is not closed": "Close the quote, or write two of them for one.",
  "the quotes are empty": "Write something between the quotes.",
  "a term is missing": "Write a term beside the sign, or quote a sign that is meant.",
  "no item has so large an id": "No item has so large an id: quote it if words are meant.",
  "a path": "A page cannot read a path: choose the picture, or drop it here.",
};

/**
 * @param {object} parts
 * @param {import("./state.js").PageState} parts.state
 * @param {() => boolean} parts.composes whether the backend takes several terms
 * @param {(files: File[]) => void} parts.onFiles
 */
export function mountQueryInput({ state, composes, onFiles }) {
  const file = byId("picture-file", HTMLInputElement);
  const clear = byId("clear-text", HTMLButtonElement);
  const hasChips = () => state.get().terms.length > 0 && !isPlain(state.get().terms);

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = box.value.trim();
    if (text) submit(text);
    else if (state.get().terms.length) state.go({});
    else box.focus();
    if (matchMedia("(pointer: coarse)").matches) box.blur();
  });
  box.addEventListener("input", renderText);
  clear.addEventListener("click", () => {
    if (box.value) empty();
    else state.ask([]);
    box.focus();
  });
  byId("choose-picture", HTMLButtonElement).addEventListener("click", () => file.click());
  file.addEventListener("change", () => {
    if (file.files?.length) onFiles([...file.files]);
    file.value = "";
  });
  addEventListener("keydown", (event) => {
    if (event.key === "/" && !isTyping(event.target) && !event.ctrlKey && !event.metaKey && !isInDialog(event.target)) {
      event.preventDefault();
      box.focus();
      box.select();
    } else if (event.target !== box) {
      return;
    } else if (event.key === "Escape") {
      event.preventDefault();
      if (box.value) empty();
      else state.ask([]);
    } else if ((event.key === "Backspace" || event.key === "ArrowLeft") && !box.value) {
      lastChip()?.focus();
    }
  });
  state.subscribe(render);
  render();

  /** @param {string} text */
  function submit(text) {
    /** @type {Term[]} */
    let asked;
    try {
      asked = composes() ? readTerms(text) : [isAddress(text) ? address(text) : words(text)];
    } catch (error) {
      if (!(error instanceof BadLine)) throw error;
      const remedy = t(REMEDIES[error.message] ?? error.message);
      problem.textContent = t("{remedy} (character {position})", { remedy, position: error.position });
      box.setAttribute("aria-invalid", "true");
      return;
    }
    state.ask(composes() && hasChips() ? asked.reduce(withTerm, state.get().terms) : asked);
  }

  function empty() {
    box.value = "";
    renderText();
  }

  function renderText() {
    const isUrl = isAddress(box.value);
    problem.replaceChildren();
    box.removeAttribute("aria-invalid");
    clear.hidden = !box.value && !hasChips();
    clear.setAttribute("aria-label", box.value ? t("Clear the text") : t("Clear the search"));
    byId("address-hint", HTMLElement).hidden = !isUrl;
    byId("query-icon", SVGUseElement).setAttribute("href", isUrl ? "#i-link" : "#i-search");
  }

  function render() {
    const { terms } = state.get();
    const [only] = terms;
    box.value = only && isPlain(terms) ? asLine(only.value) : "";
    form.classList.toggle("has-chips", hasChips());
    box.placeholder = hasChips()
      ? composes() ? t("Add words or a picture address") : t("Search by words instead")
      : t("Words or a picture address");
    renderText();
  }

  /**
   * Words as the box would read them.
   * @param {string} text
   */
  function asLine(text) {
    return (composes() && formatLine([{ kind: "text", value: text, weight: 1 }])) || text;
  }

  return {
    /** Once it is known what the backend takes; what is being typed meanwhile stays. */
    refresh() {
      const [only] = state.get().terms;
      if (box.value === (only && isPlain(state.get().terms) ? only.value : "")) render();
    },
  };
}

/** @param {string} text @returns {Term[]} */
function readTerms(text) {
  return parseLine(text).map(({ kind, value, weight }) => {
    if (kind === "path") throw new BadLine("a path", text, text.indexOf(value));
    return { kind, value, weight };
  });
}

function lastChip() {
  const faces = document.querySelectorAll("#terms .chip-face");
  const last = faces[faces.length - 1];
  return last instanceof HTMLElement ? last : undefined;
}

/** @param {EventTarget | null} target */
function isInDialog(target) {
  return target instanceof Element && target.closest("dialog") !== null;
}
