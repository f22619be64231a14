/** The grid of results. It only grows while one search lasts; a new search starts it afresh. */

import { byId, isPlainClick, part, stamp } from "./dom.js";
import { recall, remember } from "./prefs.js";
import { byId as queryById } from "./state.js";

/** Dragged results carry their id under this type. */
export const ID_TYPE = "application/x-search-back-id";

/** Pictures up to this many pixels a side look best small, at their own size. */
const SMALL = 200;
const SKELETONS = 24;
const DENSITY_SAMPLE = 5;

const grid = byId("results", HTMLOListElement);

/**
 * @param {object} parts
 * @param {ReturnType<typeof import("./search.js").createSearch>} parts.search
 * @param {import("./state.js").PageState} parts.state
 */
export function mountResults({ search, state }) {
  /** @type {import("./api.js").Hit[] | null} */
  let list = null;
  let drawn = 0;
  /** @type {boolean[]} */
  let sizes = [];

  search.subscribe((view) => {
    const waiting = view.status === "loading";
    grid.classList.toggle("stale", waiting && drawn > 0);
    if (waiting) {
      if (drawn === 0) showSkeletons();
      return;
    }
    if (view.hits !== list) clear(view.hits);
    const fresh = view.results.slice(drawn).filter((result) => !view.broken.has(result.id));
    grid.append(...fresh.map(card));
    drawn = view.results.length;
  });

  /** @param {import("./api.js").Hit[]} hits */
  function clear(hits) {
    const focused = grid.contains(document.activeElement);
    grid.replaceChildren();
    grid.dataset.density = usualDensity();
    grid.classList.remove("waiting");
    if (focused) byId("results-title", HTMLElement).focus({ preventScroll: true });
    list = hits;
    drawn = 0;
    sizes = [];
  }

  function showSkeletons() {
    grid.dataset.density = usualDensity();
    grid.classList.add("waiting");
    const blanks = Array.from({ length: SKELETONS }, () => {
      const blank = document.createElement("li");
      blank.className = "skeleton";
      return blank;
    });
    grid.replaceChildren(...blanks);
    list = null;
  }

  /** Whether the index holds small pictures, learnt from the first ones shown before. */
  function usualDensity() {
    return recall(`density ${state.get().index}`) ?? "normal";
  }

  /** @param {import("./item.js").Result} result */
  function card(result) {
    const root = stamp("card-template");
    const tile = part(root, ".tile", HTMLAnchorElement);
    const image = part(root, "img", HTMLImageElement);
    const alike = part(root, ".alike", HTMLAnchorElement);
    root.dataset.id = result.id;
    part(root, ".caption", HTMLElement).textContent = result.caption;
    part(root, ".score", HTMLElement).textContent = result.score;

    alike.href = state.link(queryById(result.id));
    alike.setAttribute("aria-label", `More like this: ${result.caption || result.id}`);
    alike.addEventListener("click", (event) => {
      if (!isPlainClick(event)) return;
      event.preventDefault();
      state.go(queryById(result.id));
    });
    root.addEventListener("dragstart", (event) => event.dataTransfer?.setData(ID_TYPE, result.id));

    if (result.href) tile.href = result.href;
    if (!result.src) {
      showWords(root, tile, result);
      return root;
    }
    image.alt = result.caption || `Picture ${result.id}`;
    image.addEventListener("load", () => settle(root, image));
    image.addEventListener("error", () => drop(root, result.id));
    image.src = result.src;
    return root;
  }

  /**
   * An item without a picture shows its caption; one with neither is not shown.
   * @param {HTMLElement} root
   * @param {HTMLAnchorElement} tile
   * @param {import("./item.js").Result} result
   */
  function showWords(root, tile, result) {
    root.classList.add("words");
    tile.textContent = result.caption;
    part(root, ".caption", HTMLElement).textContent = "";
    if (!result.caption) queueMicrotask(() => drop(root, result.id));
  }

  /** @param {HTMLElement} root @param {string} id */
  function drop(root, id) {
    if (!root.isConnected) return;
    root.remove();
    search.broken(id);
  }

  /** @param {HTMLElement} root @param {HTMLImageElement} image */
  function settle(root, image) {
    const { naturalWidth: width, naturalHeight: height } = image;
    const small = Math.max(width, height) <= SMALL;
    const ratio = width / height;
    root.classList.toggle("small", small);
    root.classList.toggle("whole", ratio > 1.9 || ratio < 0.55);
    root.classList.add("loaded");
    if (sizes.push(small) !== DENSITY_SAMPLE) return;
    const density = sizes.filter(Boolean).length > DENSITY_SAMPLE / 2 ? "small" : "normal";
    remember(`density ${state.get().index}`, density);
    grid.dataset.density = density;
  }
}

/**
 * Asks for the next page as the end of the grid comes near.
 * @param {ReturnType<typeof import("./search.js").createSearch>} search
 */
export function mountEndlessScroll(search) {
  const sentinel = byId("sentinel", HTMLElement);
  const observer = new IntersectionObserver(
    (entries) => entries.some((entry) => entry.isIntersecting) && search.more(),
    { rootMargin: "900px 0px" },
  );
  search.subscribe((now, before) => {
    if (now.status !== "ready" || now.more === "error") return observer.unobserve(sentinel);
    if (now.status === before.status && now.results === before.results && now.more === before.more) return;
    // Observing anew reports at once, so a page too short to scroll is filled too.
    observer.unobserve(sentinel);
    if (now.more === "idle") observer.observe(sentinel);
  });
}
