/** The search bar: words or an address in the box, a picture beside it. */

import { byId, part } from "./dom.js";
import { NO_QUERY, byAddress, byText, hasQuery, isAddress } from "./state.js";

const form = byId("search", HTMLFormElement);
const box = byId("query", HTMLInputElement);
const chip = byId("query-picture", HTMLElement);
const thumbnail = part(chip, "img", HTMLImageElement);
const chipLabel = part(chip, ".chip-label", HTMLElement);

/**
 * @param {object} parts
 * @param {import("./state.js").PageState} parts.state
 * @param {(id: string) => Promise<{src: string, caption: string}>} parts.lookUp what an item looks like
 * @param {(file: File) => void} parts.onFile
 */
export function mountQueryInput({ state, lookUp, onFile }) {
  const file = byId("picture-file", HTMLInputElement);
  const clearText = byId("clear-text", HTMLButtonElement);

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = box.value.trim();
    if (isAddress(text)) state.go(byAddress(text));
    else if (text) state.go(byText(text));
    else if (hasQuery(state.get())) state.go({});
    else box.focus();
    if (matchMedia("(pointer: coarse)").matches) box.blur();
  });
  box.addEventListener("input", renderText);
  clearText.addEventListener("click", () => {
    empty();
    box.focus();
  });
  part(chip, ".chip-clear", HTMLButtonElement).addEventListener("click", () => {
    state.go(NO_QUERY);
    box.focus();
  });
  byId("choose-picture", HTMLButtonElement).addEventListener("click", () => file.click());
  file.addEventListener("change", () => {
    if (file.files?.[0]) onFile(file.files[0]);
    file.value = "";
  });
  thumbnail.addEventListener("error", () => chip.classList.add("faceless"));

  addEventListener("keydown", (event) => {
    const typing = event.target instanceof Element && event.target.matches("input, select, textarea");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      box.focus();
      box.select();
    } else if (event.key === "Escape" && event.target === box) {
      event.preventDefault();
      if (box.value) empty();
      else state.go(NO_QUERY);
    }
  });

  state.subscribe(render);
  render(state.get());

  function empty() {
    box.value = "";
    renderText();
  }

  function renderText() {
    const address = isAddress(box.value);
    clearText.hidden = !box.value;
    byId("address-hint", HTMLElement).hidden = !address;
    byId("query-icon", SVGUseElement).setAttribute("href", address ? "#i-link" : "#i-search");
  }

  /** @param {import("./state.js").State} now */
  function render(now) {
    box.value = now.text;
    renderText();
    const { picture, imageUrl, id } = now;
    chip.hidden = !(picture || imageUrl || id);
    form.classList.toggle("has-picture", !chip.hidden);
    box.placeholder = chip.hidden ? "Words or a picture address" : "Search by words instead";
    if (picture) face(picture.data, picture.name);
    else if (imageUrl) faceOfAddress(imageUrl);
    else if (id) faceOfItem(id);
  }

  /** @param {string} id */
  async function faceOfItem(id) {
    face("", `Item ${id}`);
    const { src, caption } = await lookUp(id);
    if (state.get().id === id) face(src, caption || `Item ${id}`);
  }
}

/** An old link may name anything; only a whole address is shown. @param {string} address */
function faceOfAddress(address) {
  if (isAddress(address)) face(address, new URL(address).hostname, address);
  else face("", address);
}

/** @param {string} src @param {string} label @param {string} title */
function face(src, label, title = label) {
  chip.classList.toggle("faceless", !src);
  if (src) thumbnail.src = src;
  else thumbnail.removeAttribute("src");
  chipLabel.textContent = label;
  chip.title = title;
}
