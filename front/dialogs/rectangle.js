/**
 * A rectangle to be dragged over a picture with a pointer, or moved and resized with keys.
 *
 * @typedef {{x: number, y: number, width: number, height: number}} Rectangle in shares of the picture
 */

import { make } from "../js/dom.js";
import { t } from "../js/language.js";

const LEAST = 0.04;
const STEP = 0.02;

/** @param {HTMLElement} stage what holds the picture, and nothing beside it */
export function mountRectangle(stage) {
  /** @type {Rectangle} */
  let now = { x: 0.2, y: 0.2, width: 0.6, height: 0.6 };
  const frame = make("div", { class: "frame", tabindex: 0, role: "application", "aria-label": t("Part of the picture") });
  stage.append(frame);
  draw();

  stage.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    stage.setPointerCapture(event.pointerId);
    const start = placeOf(event);
    const held = now;
    const moves = event.target === frame && held.width < 0.98;
    /** @param {PointerEvent} move */
    const follow = (move) => {
      const place = placeOf(move);
      if (moves) set({ ...held, x: held.x + place.x - start.x, y: held.y + place.y - start.y });
      else set(between(start, place));
    };
    stage.addEventListener("pointermove", follow);
    const end = () => stage.removeEventListener("pointermove", follow);
    stage.addEventListener("pointerup", end, { once: true });
    stage.addEventListener("pointercancel", end, { once: true });
    frame.focus();
  });
  frame.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!way) return;
    event.preventDefault();
    const [dx = 0, dy = 0] = way.map((step) => step * STEP);
    if (event.shiftKey) set({ ...now, width: now.width + dx, height: now.height + dy });
    else set({ ...now, x: now.x + dx, y: now.y + dy });
  });

  /** @param {Rectangle} wanted */
  function set(wanted) {
    const width = limit(wanted.width, LEAST, 1);
    const height = limit(wanted.height, LEAST, 1);
    now = { width, height, x: limit(wanted.x, 0, 1 - width), y: limit(wanted.y, 0, 1 - height) };
    draw();
  }

  function draw() {
    for (const [side, share] of Object.entries({ left: now.x, top: now.y, width: now.width, height: now.height })) {
      frame.style.setProperty(side, `${share * 100}%`);
    }
  }

  /** @param {PointerEvent} event */
  function placeOf({ clientX, clientY }) {
    const box = stage.getBoundingClientRect();
    return { x: limit((clientX - box.left) / box.width, 0, 1), y: limit((clientY - box.top) / box.height, 0, 1) };
  }

  return { get: () => now, focus: () => frame.focus() };
}

/** @param {{x: number, y: number}} a @param {{x: number, y: number}} b @returns {Rectangle} */
function between(a, b) {
  return { x: Math.min(a.x, b.x), y: Math.min(a.y, b.y), width: Math.abs(a.x - b.x), height: Math.abs(a.y - b.y) };
}

/** @param {number} value @param {number} least @param {number} most */
function limit(value, least, most) {
  return Math.min(most, Math.max(least, value));
}
