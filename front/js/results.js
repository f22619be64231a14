/** The grid of results. It only grows while one search lasts; a new search starts it afresh. */

import { ID_TYPE, complete, makeCard, makeGroup } from "./card.js";
import { byId, part } from "./dom.js";
import { createFade } from "./fade.js";
import { t } from "./language.js";
import { createNear } from "./near.js";
import { recall, remember } from "./prefs.js";
import { createRuns } from "./runs.js";

/** Pictures up to this many pixels a side look best small, at their own size. */
const SMALL = 200;
const SKELETONS = 24;
const DENSITY_SAMPLE = 5;

const grid = byId("results", HTMLElement);

/**
 * @param {object} parts
 * @param {ReturnType<typeof import("./search.js").createSearch>} parts.search
 * @param {import("./state.js").PageState} parts.state
 * @param {import("./card.js").Doing} parts.doing
 * @param {(column: string, value: unknown) => void} parts.onGroup
 */
export function mountResults({ search, state, doing, onGroup }) {
  /** @type {object | null} */
  let answer = null;
  let drawn = 0;
  /** @type {unknown} */
  let group;
  /** @type {boolean[]} */
  let sizes = [];
  /** @type {WeakMap<object, string>} how closely each answer lies: so it does on the way back, too */
  const densities = new WeakMap();
  const near = createNear(grid);
  const runs = createRuns(grid, near.watch);
  const using = { ...doing, missing: take };
  createFade(grid, settle);

  search.subscribe((view) => {
    const waiting = view.status === "loading";
    grid.classList.toggle("stale", waiting && drawn > 0);
    grid.setAttribute("aria-busy", String(waiting));
    if (waiting) {
      if (drawn === 0) showSkeletons();
      return;
    }
    if (view.answer !== answer) clear(view.answer);
    const fresh = view.results.slice(drawn).filter((result) => !view.broken.has(result.id));
    if (fresh.length) runs.append(fresh.flatMap(draw));
    drawn = view.results.length;
  });
  grid.addEventListener("dragstart", ({ target, dataTransfer }) => {
    const card = target instanceof Element && target.closest("li");
    if (card && card.dataset.id) dataTransfer?.setData(ID_TYPE, card.dataset.id);
  });

  /** @param {object} next */
  function clear(next) {
    const focused = grid.contains(document.activeElement);
    runs.clear();
    const density = densities.get(next) ?? usualDensity();
    densities.set(next, density);
    grid.dataset.density = density;
    grid.classList.remove("waiting");
    if (focused) byId("results-title", HTMLElement).focus({ preventScroll: true });
    answer = next;
    drawn = 0;
    group = undefined;
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
    runs.clear();
    runs.append(blanks);
    answer = null;
  }

  /**
   * A card, and the name of its group where it is the first of it.
   * @param {import("./item.js").Result} result
   */
  function draw(result) {
    const card = makeCard(result, using);
    const { groupBy } = state.get();
    const value = groupBy ? (result.metadata[groupBy] ?? null) : undefined;
    if (value === group) return [card];
    group = value;
    return [makeGroup(value === null ? t("No value") : String(value), () => onGroup(groupBy, value)), card];
  }

  /** @param {string} id @param {HTMLElement} card */
  function take(id, card) {
    runs.remove(card);
    doing.missing(id, card);
  }

  /** Whether the index holds small pictures, learnt from the first ones shown before. */
  function usualDensity() {
    return recall(`density ${state.get().index}`) ?? "normal";
  }

  /** @param {HTMLImageElement} image */
  function settle(image) {
    const root = image.closest("li");
    if (!root) return;
    const { naturalWidth: width, naturalHeight: height } = image;
    const small = Math.max(width, height) <= SMALL;
    const ratio = width / height;
    root.classList.toggle("small", small);
    root.classList.toggle("whole", ratio > 1.9 || ratio < 0.55);
    root.classList.add("loaded");
    if (sizes.push(small) !== DENSITY_SAMPLE) return;
    const density = sizes.filter(Boolean).length > DENSITY_SAMPLE / 2 ? "small" : "normal";
    // Nothing moves before anybody's eyes: what is learnt is for the next search.
    remember(`density ${state.get().index}`, density);
  }
}

/**
 * The card of a result, where it is on the page.
 * @param {string} id
 */
export function focusCard(id) {
  const card = grid.querySelector(`[data-id="${CSS.escape(id)}"]`);
  if (card) enter(card);
}

/**
 * The same, so many cards from the one that has the focus.
 * @param {number} by
 */
export function step(by) {
  const cards = Array.from(grid.querySelectorAll(".card"));
  const card = cards[cards.findIndex((one) => one.contains(document.activeElement)) + by];
  if (card) enter(card);
}

/** @param {Element} card */
function enter(card) {
  complete(card);
  card.scrollIntoView({ block: "nearest" });
  part(card, ".tile", HTMLElement).focus();
}

/**
 * Asks for the next page as the end of the grid comes near.
 * @param {ReturnType<typeof import("./search.js").createSearch>} search
 */
export function mountEndlessScroll(search) {
  const sentinel = byId("sentinel", HTMLElement);
  const observer = new IntersectionObserver(
    (entries) => entries.some((entry) => entry.isIntersecting) && search.more(),
    { rootMargin: "1200px 0px" },
  );
  search.subscribe((now, before) => {
    if (now.status !== "ready" || now.more === "error") return observer.unobserve(sentinel);
    if (now.status === before.status && now.results === before.results && now.more === before.more) return;
    // Observing anew reports at once, so a page too short to scroll is filled too.
    observer.unobserve(sentinel);
    if (now.more === "idle" && now.rest) observer.observe(sentinel);
  });
}
