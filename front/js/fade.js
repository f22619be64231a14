/**
 * Shows pictures as they arrive: in sight, they come up from the tone of their tile. Where nobody looks
 * nothing moves: each picture that fades is a layer of its own, drawn again in every frame; in a part of the
 * page that is not drawn, it never ends.
 */

const MS = 200;

/**
 * @param {HTMLElement} grid what holds the pictures, in parts that are drawn near the window only
 * @param {(picture: HTMLImageElement) => void} show
 */
export function createFade(grid, show) {
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  /** @type {Map<Element, Set<Animation>>} */
  const running = new Map();
  // The browser tells of all that came since the last frame, and has nothing laid out anew for it.
  const arrivals = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      arrivals.unobserve(target);
      if (!(target instanceof HTMLImageElement)) continue;
      show(target);
      const run = target.closest(".run");
      if (isIntersecting && run && !still.matches) fade(target, run);
    }
  });

  grid.addEventListener("contentvisibilityautostatechange", (event) => {
    const { target, skipped } = /** @type {Event & {skipped?: boolean}} */ (event);
    if (!skipped || !(target instanceof Element)) return;
    for (const one of running.get(target) ?? []) one.cancel();
    running.delete(target);
  });
  // One listener for thousands of pictures; this does not bubble.
  grid.addEventListener("load", ({ target }) => target instanceof HTMLImageElement && arrivals.observe(target), true);

  /** @param {Element} picture @param {Element} run */
  function fade(picture, run) {
    const fades = running.get(run) ?? new Set();
    running.set(run, fades);
    const one = picture.animate({ opacity: [0, 1] }, { duration: MS, easing: "ease-out" });
    fades.add(one);
    one.addEventListener("finish", () => fades.delete(one) && !fades.size && running.delete(run));
  }
}
