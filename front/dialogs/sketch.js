/** The sketch pad: a drawing that is searched for as a picture. */

import { make } from "../js/dom.js";
import { t } from "../js/language.js";
import { shrink } from "../js/picture.js";
import { action, showDialog } from "./dialog.js";
import { createDrawing } from "./drawing.js";

const COLOURS = [
  ["#1d1c1a", "black"], ["#8a8a8a", "grey"], ["#ffffff", "white"], ["#d92d20", "red"], ["#f08c1a", "orange"], ["#f6d32d", "yellow"],
  ["#2e9e44", "green"], ["#39b3c6", "turquoise"], ["#2563d9", "blue"], ["#7d3fc4", "violet"], ["#e873ae", "pink"], ["#8a5a2b", "brown"],
];
const SIZES = [4, 12, 28, 64];
const SIZE_NAMES = ["fine", "medium", "thick", "very thick"];

/** The drawing lasts as long as the page: closed by mistake, nothing is lost. */
const drawing = createDrawing();

/** @param {import("../js/on-demand.js").Parts} parts */
export async function openSketch({ state, add }) {
  const colours = make("div", { class: "colours", role: "group", "aria-label": t("Colour") }, ...COLOURS.map(swatch));
  const sizes = make("div", { class: "sizes", role: "group", "aria-label": t("Size") }, ...SIZES.map(dot));
  const eraser = action("eraser", t("Eraser"), () => pick({ erases: true }));
  const undo = action("undo", t("Undo"), drawing.undo);
  const clear = action("close", t("Clear"), drawing.clear);
  const search = action("search", t("Search"), () => take(false), "strong");
  const plus = action("plus", t("Add to the search"), () => take(true));
  const canAdd = document.body.classList.contains("modern") && state.get().terms.length > 0;
  const dialog = await showDialog(
    t("Draw what to look for"),
    "sketch",
    make("div", { class: "tray" }, colours, sizes, make("div", { class: "tools-of-sketch" }, eraser, undo, clear)),
    drawing.canvas,
    make("footer", {}, canAdd && plus, search),
  );
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "z" && (event.ctrlKey || event.metaKey)) drawing.undo();
    else if (event.key === "e") pick({ erases: true });
    else return;
    event.preventDefault();
  });
  pick({});
  drawing.onChange(render);
  render();
  drawing.canvas.focus();

  function render() {
    for (const button of [undo, clear, search, plus]) button.disabled = drawing.isEmpty();
  }

  /** @param {{colour?: string, size?: number, erases?: boolean}} choice */
  function pick(choice) {
    drawing.pick({ ...(choice.colour && { erases: false }), ...choice });
    const { colour, size, erases } = drawing.tool();
    for (const button of colours.querySelectorAll("button")) press(button, !erases && button.value === colour);
    for (const button of sizes.querySelectorAll("button")) press(button, button.value === String(size));
    press(eraser, erases);
  }

  /** @param {string[]} colour */
  function swatch([colour = "", name = ""]) {
    const button = make("button", { type: "button", value: colour, "aria-label": t(name), title: t(name) });
    button.style.setProperty("--colour", colour);
    button.addEventListener("click", () => pick({ colour }));
    return button;
  }

  /** @param {number} size @param {number} i */
  function dot(size, i) {
    const name = t(SIZE_NAMES[i] ?? "");
    const button = make("button", { type: "button", value: size, "aria-label": name, title: name });
    button.style.setProperty("--size", `${6 + i * 5}px`);
    button.addEventListener("click", () => pick({ size }));
    return button;
  }

  /** @param {boolean} isAdded */
  async function take(isAdded) {
    const term = await shrink(await drawing.toBlob(), t("Sketch"));
    dialog.close();
    add([term], isAdded);
  }
}

/** @param {HTMLElement} button @param {boolean} isPressed */
function press(button, isPressed) {
  button.setAttribute("aria-pressed", String(isPressed));
}
