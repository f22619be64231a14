/** Moves the view over a moment, or at once where the reader wants no motion. */

const LASTS_MS = 220;

/**
 * @param {import("./camera.js").Camera} camera
 * @param {() => void} redraw
 */
export function createMotion(camera, redraw) {
  let frame = 0;
  return {
    /** @param {{x: number, y: number, zoom: number}} goal */
    to(goal) {
      cancelAnimationFrame(frame);
      if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
        camera.look(goal.x, goal.y, goal.zoom);
        return redraw();
      }
      const from = camera.view;
      const began = performance.now();
      const step = (/** @type {number} */ now) => {
        const part = Math.min(1, Math.max(0, (now - began) / LASTS_MS));
        const eased = 1 - (1 - part) ** 3;
        const between = (/** @type {number} */ a, /** @type {number} */ b) => a + (b - a) * eased;
        camera.look(between(from.x, goal.x), between(from.y, goal.y), from.zoom * (goal.zoom / from.zoom) ** eased);
        redraw();
        if (part < 1) frame = requestAnimationFrame(step);
      };
      frame = requestAnimationFrame(step);
    },
    stop: () => cancelAnimationFrame(frame),
  };
}
