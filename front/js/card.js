/**
 * One result in the grid: picture, caption, score, and what can be done with it. A new card is bare: it
 * holds its words and its place, no more; `complete` adds the picture and the buttons.
 */

import { isPlainClick, make, part, stamp } from "./dom.js";
import { t } from "./language.js";

/** Dragged results carry their id under this type. */
export const ID_TYPE = "application/x-search-back-id";

/**
 * @typedef {object} Doing what a result can be used for
 * @property {(id: string) => string} similarLink
 * @property {(id: string) => void} similar search for what is like it
 * @property {(id: string, weight: 1 | -1) => void} weigh draw the query towards it, or away from it
 * @property {(id: string) => void} open
 * @property {(id: string, card: HTMLElement) => void} missing its picture cannot be shown
 */

/** @type {WeakMap<Element, {result: import("./item.js").Result, doing: Doing}>} */
const known = new WeakMap();

/**
 * @param {import("./item.js").Result} result
 * @param {Doing} doing
 * @returns {HTMLElement}
 */
export function makeCard(result, doing) {
  const root = stamp("card-template");
  root.dataset.id = result.id;
  part(root, ".caption", HTMLElement).textContent = result.caption;
  part(root, ".score", HTMLElement).textContent = result.score;
  known.set(root, { result, doing });
  // Words for a picture need the room of both.
  if (!result.src) complete(root);
  return root;
}

/**
 * Gives a bare card its picture and its buttons. A lazy picture loads when its card comes near the window.
 * @param {Element} root
 */
export function complete(root, { lazy = false } = {}) {
  const { result, doing } = known.get(root) ?? {};
  if (!result || !doing || !root.classList.contains("bare")) return;
  const { id, caption, href, src, placeholder } = result;
  const tile = stamp("tile-template");
  const image = part(tile, "img", HTMLImageElement);
  root.classList.remove("bare");
  root.prepend(tile, makeButtons(id, caption || `#${id}`, doing));
  if (tile instanceof HTMLAnchorElement && href) tile.href = href;
  else beButton(tile);
  onPlainClick(tile, () => doing.open(id));
  if (!src) return showWords(root, tile, result, doing);
  if (placeholder) tile.style.backgroundImage = `url(${placeholder})`;
  image.alt = caption || t("Picture {id}", { id });
  image.addEventListener("error", () => drop(root, id, doing));
  if (lazy) image.loading = "lazy";
  image.src = src;
}

/** @param {string} id @param {string} what @param {Doing} doing */
function makeButtons(id, what, doing) {
  const root = stamp("doing-template");
  const similar = part(root, ".similar", HTMLAnchorElement);
  const more = part(root, ".more", HTMLButtonElement);
  const less = part(root, ".less", HTMLButtonElement);
  similar.href = doing.similarLink(id);
  similar.setAttribute("aria-label", t("Similar to {what}", { what }));
  onPlainClick(similar, () => doing.similar(id));
  more.setAttribute("aria-label", t("More like {what}", { what }));
  less.setAttribute("aria-label", t("Less like {what}", { what }));
  more.addEventListener("click", () => doing.weigh(id, 1));
  less.addEventListener("click", () => doing.weigh(id, -1));
  return root;
}

/**
 * The name of a group, above its results.
 * @param {string} name
 * @param {() => void} onOnly
 */
export function makeGroup(name, onOnly) {
  const button = make("button", { type: "button", class: "group-name" }, name);
  button.title = t("Only {what}", { what: name });
  button.addEventListener("click", onOnly);
  return make("li", { class: "group" }, make("h3", {}, button));
}

/**
 * An item without a picture shows its caption; one with neither is not shown.
 * @param {Element} root
 * @param {HTMLElement} tile
 * @param {import("./item.js").Result} result
 * @param {Doing} doing
 */
function showWords(root, tile, result, doing) {
  root.classList.add("words");
  tile.textContent = result.caption;
  part(root, ".caption", HTMLElement).textContent = "";
  if (!result.caption) queueMicrotask(() => drop(root, result.id, doing));
}

/** @param {Element} root @param {string} id @param {Doing} doing */
function drop(root, id, doing) {
  if (root.isConnected && root instanceof HTMLElement) doing.missing(id, root);
}

/**
 * A link that leads nowhere is no link to the keyboard.
 * @param {HTMLElement} tile
 */
function beButton(tile) {
  tile.setAttribute("role", "button");
  tile.tabIndex = 0;
  tile.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    tile.click();
  });
}

/** @param {HTMLElement} element @param {() => void} action */
function onPlainClick(element, action) {
  element.addEventListener("click", (event) => {
    if (!isPlainClick(event)) return;
    event.preventDefault();
    action();
  });
}
