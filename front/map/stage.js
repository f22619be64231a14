/**
 * One map on the page: a canvas that is drawn when something has changed, the names over it, and the
 * point that the reader is at, by pointer or by keys.
 */

import { icon, make } from "../js/dom.js";
import { t } from "../js/language.js";
import { createBuckets } from "./buckets.js";
import { boundsOf, createCamera } from "./camera.js";
import { coloursOf } from "./colours.js";
import { keysOf } from "./keys.js";
import { createMotion } from "./motion.js";
import { createNames } from "./names.js";
import { createPainter } from "./paint.js";
import { mountPointer } from "./pointer.js";
import { createSprites } from "./sprites.js";
import { createTip } from "./tip.js";
import { nearest, neighbour } from "./walk.js";

const REACH = 12; // pixels around a dot that count as the dot
const STEP = 80; // pixels of an arrow key
const NEARER = 1.6;

/**
 * @param {import("./data.js").Plan} plan
 * @param {string} label what is on the map
 * @param {(point: number) => void} onOpen
 */
export function createStage(plan, label, onOpen) {
  const { ids, xs, ys, cluster, clusters, items } = plan;
  const camera = createCamera(boundsOf(xs, ys));
  const buckets = createBuckets(xs, ys);
  const sprites = createSprites(draw);
  const motion = createMotion(camera, draw);
  const names = createNames(plan, camera, showCluster);
  const tip = createTip();
  const canvas = make("canvas", {
    tabindex: 0,
    role: "application",
    "aria-roledescription": t("map"),
    "aria-label": label,
    "aria-describedby": "map-keys",
  });
  const context = canvas.getContext("2d");
  if (!context) throw new Error("no canvas");
  const painter = createPainter(context, plan, camera, buckets, sprites);
  const told = make("p", { class: "unseen", "aria-live": "polite" });
  const button = (/** @type {string} */ drawing, /** @type {string} */ words, /** @type {() => void} */ onClick) => {
    const made = make("button", { type: "button", class: "quiet", "aria-label": words, title: words }, icon(drawing));
    made.addEventListener("click", onClick);
    return made;
  };
  const root = make(
    "div",
    { class: "map-stage" },
    canvas,
    names.list,
    tip.element,
    make(
      "div",
      { class: "map-buttons" },
      button("plus", t("Nearer"), () => zoom(NEARER)),
      button("minus", t("Farther"), () => zoom(1 / NEARER)),
      button("whole", t("All of it"), () => motion.to(camera.whole())),
    ),
    make("p", { class: "unseen", id: "map-keys" }, t("Arrow keys move the map, with Shift they go from picture to picture. Plus and minus zoom, 0 shows all of it, Enter opens a picture.")),
    told,
  );
  let [width, height, frame] = [0, 0, 0];
  let ink = "";
  let pointed = -1;
  let focused = -1;

  mountPointer(root, {
    pan: (x, y) => move(() => camera.pan(x, y)),
    zoom: (factor, x, y) => move(() => camera.zoomAt(factor, x, y)),
    point: (x, y) => point(pointAt(x, y)),
    leave: () => point(-1),
    click(x, y) {
      const found = pointAt(x, y);
      canvas.focus({ preventScroll: true });
      if (found >= 0) onOpen((focused = found));
    },
  });
  const keys = keysOf({
    pan: (x, y) => motion.to({ ...camera.view, x: camera.view.x + (x * STEP) / camera.scale, y: camera.view.y + (y * STEP) / camera.scale }),
    walk: (x, y) => focus(focused < 0 ? middlePoint() : neighbour(plan, focused, x, y)),
    zoom: (isNearer) => zoom(isNearer ? NEARER : 1 / NEARER),
    whole: () => motion.to(camera.whole()),
    open: () => (focused < 0 ? focus(middlePoint()) : onOpen(focused)),
    leave: () => focus(-1),
  });
  canvas.addEventListener("keydown", (event) => {
    const key = keys(event);
    if (!key) return;
    event.preventDefault();
    event.stopPropagation();
    key();
  });
  canvas.addEventListener("blur", () => point(-1));
  items.listen(() => {
    draw();
    tell();
  });
  const resized = new ResizeObserver(resize);
  resized.observe(root);
  recolour();

  function resize() {
    [width, height] = [root.clientWidth, root.clientHeight];
    if (!width || !height) return;
    canvas.width = Math.round(width * devicePixelRatio);
    canvas.height = Math.round(height * devicePixelRatio);
    camera.resize(width, height);
    painter.resize(width, height);
    names.measure();
    paint();
  }

  function recolour() {
    const colours = coloursOf(Math.max(1, clusters.length));
    ink = getComputedStyle(canvas).color;
    painter.colour(colours);
    names.colour(colours);
    draw();
  }

  function draw() {
    frame ||= requestAnimationFrame(paint);
  }

  function paint() {
    cancelAnimationFrame(frame);
    frame = 0;
    if (!width) return;
    const began = performance.now();
    const marked = focused === pointed ? [focused] : [focused, pointed];
    painter.draw(canvas.width / width, marked, ink);
    names.place(width, height);
    painter.fetch(marked);
    placeTip();
    // Read by whoever measures the page; costs nothing.
    canvas.dataset.paintMs = (performance.now() - began).toFixed(2);
    canvas.dataset.zoom = camera.zoom.toFixed(2);
  }

  /** @param {() => void} change */
  function move(change) {
    motion.stop();
    change();
    draw();
  }

  /** @param {number} factor */
  function zoom(factor) {
    const goal = focused < 0 ? camera.view : { x: xs[focused] ?? 0, y: ys[focused] ?? 0 };
    motion.to({ x: goal.x, y: goal.y, zoom: camera.zoom * factor });
  }

  /**
   * What is under a pixel: a thumbnail, or the nearest dot within reach; -1: nothing.
   * @param {number} x
   * @param {number} y
   */
  function pointAt(x, y) {
    const half = painter.side / 2;
    const { x: left, y: top } = camera.toMap(x - half, y - half);
    const { x: right, y: bottom } = camera.toMap(x + half, y + half);
    let [thumbnail, dot, least] = [-1, -1, Math.max(REACH, painter.dot)];
    buckets.within({ left, top, right, bottom }, (i) => {
      const [dx, dy] = [Math.abs(camera.toX(xs[i] ?? 0) - x), Math.abs(camera.toY(ys[i] ?? 0) - y)];
      if (Math.max(dx, dy) <= half && painter.isShown(i)) thumbnail = i;
      if (Math.hypot(dx, dy) <= least) [dot, least] = [i, Math.hypot(dx, dy)];
    });
    return thumbnail >= 0 ? thumbnail : dot;
  }

  function middlePoint() {
    return nearest(plan, camera.view.x, camera.view.y);
  }

  /** @param {number} i */
  function point(i) {
    if (i === pointed) return;
    pointed = i;
    canvas.classList.toggle("points", i >= 0);
    draw();
  }

  /**
   * Goes to a point, and takes the map along where it is out of sight.
   * @param {number} i
   */
  function focus(i) {
    if (i < 0 && focused >= 0 && !root.contains(document.activeElement)) return;
    focused = i;
    if (i >= 0) {
      const [x, y] = [camera.toX(xs[i] ?? 0), camera.toY(ys[i] ?? 0)];
      const edge = painter.side;
      const isInside = x > edge && y > edge && x < width - edge && y < height - edge;
      if (!isInside) motion.to({ x: xs[i] ?? 0, y: ys[i] ?? 0, zoom: camera.zoom });
    }
    draw();
    tell();
  }

  /** @param {number} number */
  function showCluster(number) {
    const mine = cluster.flatMap((of, i) => (of === number ? [i] : []));
    const { left, top, right, bottom } = boundsOf(Float32Array.from(mine, (i) => xs[i] ?? 0), Float32Array.from(mine, (i) => ys[i] ?? 0));
    const zoom = Math.min(width / ((right - left) * camera.fit), height / ((bottom - top) * camera.fit), 24) * 0.8;
    motion.to({ x: (left + right) / 2, y: (top + bottom) / 2, zoom: Math.max(1, zoom) });
    canvas.focus({ preventScroll: true });
  }

  /** @param {number} i */
  function wordsOf(i) {
    return items.get(ids[i] ?? "")?.caption || t("Picture {id}", { id: ids[i] ?? "" });
  }

  function tell() {
    const where = clusters[cluster[focused] ?? -1]?.words.join(", ") ?? "";
    const text = focused < 0 ? "" : where ? t("{what}, among {words}", { what: wordsOf(focused), words: where }) : wordsOf(focused);
    if (told.textContent !== text) told.textContent = text;
  }

  function placeTip() {
    const i = pointed >= 0 ? pointed : focused;
    if (i < 0) return tip.hide();
    tip.show(wordsOf(i), camera.toX(xs[i] ?? 0), camera.toY(ys[i] ?? 0), Math.max(painter.side, 72) / 2, width);
  }

  return {
    root,
    recolour,
    /** @param {string} id */
    focus(id) {
      canvas.focus({ preventScroll: true });
      focus(ids.indexOf(id));
    },
    take: () => canvas.focus({ preventScroll: true }),
    leave() {
      resized.disconnect();
      motion.stop();
      root.remove();
    },
  };
}

/** @typedef {ReturnType<typeof createStage>} Stage */
