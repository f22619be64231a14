/** Mouse, pen and fingers on the map: drag, wheel, pinch, point, click. */

const CLICK = 6; // pixels that a hand may tremble
const WHEEL = 0.0016;

/**
 * @param {HTMLElement} stage
 * @param {object} on all in pixels from the stage's corner
 * @param {(x: number, y: number) => void} on.pan
 * @param {(factor: number, x: number, y: number) => void} on.zoom
 * @param {(x: number, y: number) => void} on.point
 * @param {() => void} on.leave
 * @param {(x: number, y: number) => void} on.click
 */
export function mountPointer(stage, on) {
  /** @type {Map<number, {x: number, y: number}>} */
  const held = new Map();
  let travelled = 0;
  let hadTwo = false;

  const at = (/** @type {MouseEvent} */ event) => {
    const { left, top } = stage.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  };
  const isOnMap = (/** @type {Event} */ event) => event.target instanceof HTMLCanvasElement;

  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    const { x, y } = at(event);
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 24 : 1;
    // Two fingers on a touchpad come as a wheel with Ctrl, in smaller steps.
    on.zoom(Math.exp(-event.deltaY * lines * WHEEL * (event.ctrlKey ? 5 : 1)), x, y);
  }, { passive: false });

  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !isOnMap(event)) return;
    if (!held.size) [travelled, hadTwo] = [0, false];
    held.set(event.pointerId, at(event));
    hadTwo ||= held.size > 1;
    if (event.target instanceof Element) event.target.setPointerCapture(event.pointerId);
  });
  stage.addEventListener("pointermove", (event) => {
    const before = held.get(event.pointerId);
    const { x, y } = at(event);
    if (!before) {
      if (event.pointerType !== "touch" && isOnMap(event)) on.point(x, y);
      return;
    }
    const other = [...held].find(([id]) => id !== event.pointerId)?.[1];
    held.set(event.pointerId, { x, y });
    travelled += Math.hypot(x - before.x, y - before.y);
    if (travelled < CLICK) return;
    stage.classList.add("dragged");
    if (!other) return on.pan(x - before.x, y - before.y);
    const apart = (/** @type {{x: number, y: number}} */ p) => Math.max(8, Math.hypot(p.x - other.x, p.y - other.y));
    on.pan((x - before.x) / 2, (y - before.y) / 2);
    on.zoom(apart({ x, y }) / apart(before), (x + other.x) / 2, (y + other.y) / 2);
  });
  const release = (/** @type {PointerEvent} */ event) => {
    if (!held.delete(event.pointerId) || held.size) return;
    stage.classList.remove("dragged");
    const { x, y } = at(event);
    if (event.type === "pointerup" && travelled < CLICK && !hadTwo) on.click(x, y);
  };
  stage.addEventListener("pointerup", release);
  stage.addEventListener("pointercancel", release);
  stage.addEventListener("pointerleave", on.leave);
}
