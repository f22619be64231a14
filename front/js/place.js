/**
 * Where the window stands, told by a card: after the way back the same one is at the same height of the
 * window, however many columns there are by now and whatever was guessed of rows that were never drawn.
 */

import { atTheTop } from "./runs.js";

/** A window stands on whole pixels. */
const CLOSE = 1;

/**
 * @typedef {object} Place
 * @property {number} y from the top of the page
 * @property {string} [id] of the first card in sight
 * @property {number} [top] of that card, in the window
 */

/** @param {HTMLElement} grid */
export function createPlaces(grid) {
  /** @type {{card: Element, top: number} | null} */
  let held = null;

  const away = () => (held?.card.isConnected ? held.card.getBoundingClientRect().top - held.top : 0);

  function hold() {
    const by = away();
    if (by) scrollBy(0, by);
  }

  // Rows may get another height as they are drawn, or the window another width. Whoever scrolls lets go.
  new ResizeObserver(hold).observe(grid);
  addEventListener("scroll", () => Math.abs(away()) >= CLOSE && (held = null), { passive: true });

  return {
    /** @returns {Place} */
    now() {
      const card = scrollY && atTheTop(grid);
      if (!(card instanceof HTMLElement) || !card.dataset.id) return { y: scrollY };
      return { y: scrollY, id: card.dataset.id, top: card.getBoundingClientRect().top };
    },
    /** @param {Place} place */
    restore({ y, id, top }) {
      const card = id && grid.querySelector(`[data-id="${CSS.escape(id)}"]`);
      held = card && top !== undefined ? { card, top } : null;
      if (held) hold();
      else scrollTo(0, y);
    },
  };
}

/** @typedef {ReturnType<typeof createPlaces>} Places */
