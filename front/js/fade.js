/**
 * A picture that arrives in sight comes up from the tone of its tile. Where nobody looks nothing moves: an
 * animation in a part of the page that is not drawn never ends, and each of them costs every frame.
 */

const MS = 200;

/** @param {HTMLElement} grid what holds the pictures, in parts that are drawn near the window only */
export function createFade(grid) {
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  /** @type {WeakSet<Element>} */
  const unseen = new WeakSet();
  /** @type {Map<Element, Set<Animation>>} */
  const running = new Map();

  grid.addEventListener("contentvisibilityautostatechange", (event) => {
    const run = event.target;
    const { skipped } = /** @type {Event & {skipped?: boolean}} */ (event);
    if (!(run instanceof Element)) return;
    if (!skipped) return void unseen.delete(run);
    unseen.add(run);
    for (const fade of running.get(run) ?? []) fade.cancel();
    running.delete(run);
  });

  /** @param {Element} picture @param {Element} run */
  return (picture, run) => {
    if (still.matches || unseen.has(run)) return;
    const fades = running.get(run) ?? new Set();
    running.set(run, fades);
    const fade = picture.animate({ opacity: [0, 1] }, { duration: MS, easing: "ease-out" });
    fades.add(fade);
    fade.addEventListener("finish", () => fades.delete(fade) && !fades.size && running.delete(run));
  };
}
