/**
 * Completes the cards near the window, run by run. Those that nobody has come near stay bare: thousands are
 * made for next to nothing, yet each is there to be counted, stepped to and found by its words.
 */

import { complete } from "./card.js";

/** So many windows above and below the one that is seen are made ready. */
const AHEAD = 2;

/** @param {HTMLElement} grid of runs, one below the other */
export function createNear(grid) {
  let isDue = false;

  /** What is seen is completed at once, of what is near one run a frame. */
  function look() {
    isDue = false;
    let isLate = false;
    for (const { run, isSeen } of runsNear(grid)) {
      const bare = run.querySelectorAll(".bare");
      if (!bare.length) continue;
      if (!isSeen && isLate) return lookSoon();
      for (const card of bare) complete(card);
      isLate = true;
    }
  }

  /** Looks before the next frame is drawn. */
  function lookSoon() {
    if (!isDue) requestAnimationFrame(look);
    isDue = true;
  }

  // The browser tells once a run comes near; looking in every frame would cost more than drawing it.
  if ("ContentVisibilityAutoStateChangeEvent" in window) grid.addEventListener("contentvisibilityautostatechange", lookSoon);
  else addEventListener("scroll", lookSoon, { passive: true });
  // The tabulator goes on to what is there.
  grid.addEventListener("focusin", look);
  return { lookSoon };
}

/**
 * Those that reach into the window, then those that are not far from it. They lie in order, so it takes a
 * few looks.
 * @param {Element} grid
 */
function runsNear(grid) {
  const runs = grid.children;
  const reach = AHEAD * innerHeight;
  let [first, end] = [0, runs.length];
  while (first < end) {
    const middle = (first + end) >> 1;
    const { bottom, height } = runs[middle].getBoundingClientRect();
    if (!height) return []; // What is not laid out is not seen.
    if (bottom < -reach) first = middle + 1;
    else end = middle;
  }
  const found = [];
  for (let i = first; i < runs.length; i++) {
    const { top, bottom } = runs[i].getBoundingClientRect();
    if (top > innerHeight + reach) break;
    found.push({ run: runs[i], isSeen: bottom > 0 && top < innerHeight });
  }
  return found.sort((one, other) => Number(other.isSeen) - Number(one.isSeen));
}
