/**
 * Completes the cards near the window, run by run. Those that nobody has come near stay bare: thousands are
 * made for next to nothing, yet each is there to be counted, stepped to and found by its words.
 */

import { complete } from "./card.js";

/**
 * Two windows above and below the one that is seen are made ready: some half a window before the browser
 * draws them. Their pictures load then, too. A browser that is left to load them as they come near (`lazy`)
 * looks at every one that has not come yet, thousands after a long way down, in every frame. Only those that a
 * page begins with are few enough: what is first in sight comes first.
 */
const NEAR = { rootMargin: "200% 0px" };
/** So many cards are completed in a frame. */
const PIECE = 12;

/** @param {HTMLElement} grid of runs, one below the other */
export function createNear(grid) {
  /** @type {Set<Element>} */
  const due = new Set();
  let frame = 0;
  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) isIntersecting ? due.add(target) : due.delete(target);
    work();
  }, NEAR);

  /** What is seen is completed at once, what is near piece by piece. */
  function work() {
    const seen = [...due].filter(isSeen);
    if (seen.length) for (const run of seen) fill(run);
    else for (const run of [...due].slice(0, 1)) fill(run, PIECE);
    cancelAnimationFrame(frame);
    if (due.size) frame = requestAnimationFrame(work);
  }

  /** @param {Element | null | undefined} run @param {number} [most] */
  function fill(run, most = Infinity) {
    if (!run) return;
    const bare = Array.from(run.querySelectorAll(".bare"));
    const lazy = run === grid.querySelector(".run");
    for (const card of bare.slice(0, most)) complete(card, { lazy });
    if (bare.length > most) return;
    due.delete(run);
    observer.unobserve(run);
  }

  // The tabulator goes on to what is there.
  grid.addEventListener("focusin", ({ target }) => {
    const run = target instanceof Element ? target.closest(".run") : null;
    for (const one of [run, run?.previousElementSibling, run?.nextElementSibling]) fill(one);
  });

  return {
    /**
     * To be completed once it is near; also what has been watched before, and holds other cards now.
     * @param {Element} run
     */
    watch(run) {
      observer.unobserve(run);
      observer.observe(run);
    },
  };
}

/** @param {Element} run */
function isSeen(run) {
  const { top, bottom } = run.getBoundingClientRect();
  return bottom > 0 && top < innerHeight;
}
