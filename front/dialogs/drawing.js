/**
 * Strokes on a canvas, drawn by pointer, or by keys: arrows move a pen, the space bar puts it down and up.
 *
 * @typedef {{x: number, y: number}} Point
 * @typedef {{colour: string, size: number, erases: boolean}} Tool
 */

import { make } from "../js/dom.js";
import { t } from "../js/language.js";

const SIDE = 640;
const PAPER = "#ffffff";
const KEY_STEP = 12;

export function createDrawing() {
  const canvas = make("canvas", {
    width: SIDE,
    height: SIDE,
    tabindex: 0,
    role: "img",
    "aria-label": t("Sketch pad: draw with the pointer, or with arrow keys and the space bar"),
  });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  /** @type {{tool: Tool, points: Point[]}[]} */
  let strokes = [];
  /** @type {Tool} */
  let tool = { colour: "#1d1c1a", size: 12, erases: false };
  /** @type {Point} */
  let pen = { x: SIDE / 2, y: SIDE / 2 };
  let penIsDown = false;
  let listener = () => {};
  redraw();

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    begin(placeOf(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    // Between two events a quick hand passes many places.
    for (const part of event.getCoalescedEvents?.() ?? [event]) goOn(placeOf(part));
  });
  canvas.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === " ") {
      penIsDown = !penIsDown;
      if (penIsDown) begin(pen);
      else redraw();
    } else if (way) {
      const [dx = 0, dy = 0] = way;
      pen = { x: clamp(pen.x + dx * KEY_STEP), y: clamp(pen.y + dy * KEY_STEP) };
      if (penIsDown) goOn(pen);
      redraw();
      drawPen();
    } else {
      return;
    }
    event.preventDefault();
  });
  canvas.addEventListener("blur", redraw);

  /** @param {Point} point */
  function begin(point) {
    strokes.push({ tool, points: [point] });
    redraw();
    listener();
  }

  /** @param {Point} point */
  function goOn(point) {
    const stroke = strokes.at(-1);
    if (!stroke) return;
    stroke.points.push(point);
    drawStroke({ tool: stroke.tool, points: stroke.points.slice(-2) });
  }

  function redraw() {
    context.fillStyle = PAPER;
    context.fillRect(0, 0, SIDE, SIDE);
    for (const stroke of strokes) drawStroke(stroke);
  }

  /** @param {{tool: Tool, points: Point[]}} stroke */
  function drawStroke({ tool: { colour, size, erases }, points }) {
    context.strokeStyle = erases ? PAPER : colour;
    context.lineWidth = size;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    for (const [i, { x, y }] of points.entries()) {
      if (i === 0) context.moveTo(x, y);
      context.lineTo(x, y);
    }
    context.stroke();
  }

  function drawPen() {
    context.strokeStyle = "#0c6b62";
    context.lineWidth = 2;
    context.beginPath();
    context.arc(pen.x, pen.y, tool.size / 2 + 4, 0, Math.PI * 2);
    context.stroke();
  }

  /** @param {PointerEvent} event @returns {Point} */
  function placeOf({ clientX, clientY }) {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    return { x: ((clientX - left) / width) * SIDE, y: ((clientY - top) / height) * SIDE };
  }

  /** @param {{tool: Tool, points: Point[]}[]} next */
  function replace(next) {
    strokes = next;
    penIsDown = false;
    redraw();
    listener();
  }

  return {
    canvas,
    tool: () => tool,
    /** @param {Partial<Tool>} choice */
    pick: (choice) => void (tool = { ...tool, ...choice }),
    undo: () => replace(strokes.slice(0, -1)),
    clear: () => replace([]),
    isEmpty: () => !strokes.some((stroke) => !stroke.tool.erases),
    /** @param {() => void} heard */
    onChange: (heard) => void (listener = heard),
    /** @returns {Promise<Blob>} a PNG of the drawing */
    toBlob() {
      redraw();
      return new Promise((resolve, reject) =>
        canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no canvas"))), "image/png"),
      );
    },
  };
}

/** @param {number} value */
function clamp(value) {
  return Math.min(SIDE, Math.max(0, value));
}
