/** Draws the map: dots in the colours of their clusters, and thumbnails where there is room. */

import { NEAREST } from "./camera.js";
import { createDots } from "./dots.js";
import { levelsOf } from "./levels.js";
import { ROOM } from "./sprites.js";

const LEAST = 36; // pixels of a thumbnail's side
const MOST = 148;
const GROWS = 0.42; // with the nearness, to this power
const GAP = 1.08;
const STEPS_PER_DOUBLING = 2;
const LEVELS = STEPS_PER_DOUBLING * Math.log2(NEAREST) + 1;

/**
 * @param {CanvasRenderingContext2D} context
 * @param {import("./data.js").Plan} plan
 * @param {import("./camera.js").Camera} camera
 * @param {import("./buckets.js").Buckets} buckets
 * @param {import("./sprites.js").Sprites} sprites
 */
export function createPainter(context, plan, camera, buckets, sprites) {
  const { ids, xs, ys, cluster, items } = plan;
  /** @type {Uint8Array} */
  let levels = new Uint8Array();
  /** @type {string[]} */
  let colours = [];
  const dots = createDots(context);
  let base = LEAST;
  let radius = 3;
  /** @type {number[]} the points that have a thumbnail now */
  let shown = [];

  const sideAt = (/** @type {number} */ zoom) => Math.min(MOST, Math.max(LEAST, base * Math.max(1, zoom) ** GROWS));
  const level = () => Math.floor(STEPS_PER_DOUBLING * Math.log2(Math.max(1, camera.zoom)) + 1e-6);
  const srcOf = (/** @type {number} */ i) => items.get(ids[i] ?? "")?.src ?? "";
  const colourOf = (/** @type {number} */ i) => colours[cluster[i] ?? 0] ?? "grey";
  const spriteOf = (/** @type {number} */ i) => {
    const sprite = srcOf(i) && sprites.get(srcOf(i), colourOf(i));
    return sprite instanceof HTMLCanvasElement ? sprite : null;
  };

  return {
    /**
     * The window has another size.
     * @param {number} width
     * @param {number} height
     */
    resize(width, height) {
      base = Math.max(LEAST, Math.min(104, 0.5 * Math.sqrt((width * height) / Math.max(1, ids.length))));
      const rooms = Array.from({ length: LEVELS }, (_, step) => {
        const zoom = 2 ** (step / STEPS_PER_DOUBLING);
        return (sideAt(zoom) * GAP) / (camera.fit * zoom);
      });
      levels = levelsOf(xs, ys, rooms.map((room) => Math.min(1, room)));
    },
    /** @param {string[]} palette a colour a cluster */
    colour(palette) {
      colours = palette;
      dots.colour(palette);
    },
    get side() {
      return sideAt(camera.zoom);
    },
    get dot() {
      return radius;
    },
    /**
     * Whether a point is a thumbnail now.
     * @param {number} i
     */
    isShown: (i) => shown.includes(i) && spriteOf(i) !== null,

    /**
     * @param {number} scale pixels of the canvas for one of the page
     * @param {number[]} marked points with a ring, the last on top; -1: none
     * @param {string} ink of the ring
     */
    draw(scale, marked, ink) {
      const side = sideAt(camera.zoom);
      const now = level();
      radius = Math.min(6, Math.max(2.2, 30 / Math.sqrt(ids.length) + Math.log2(Math.max(1, camera.zoom)) / 2));
      shown = [];
      dots.clear(radius * scale);
      buckets.within(camera.window(side), (i) => {
        if ((levels[i] ?? 0) <= now && shown.length < ROOM) {
          shown.push(i);
          if (spriteOf(i)) return;
        }
        dots.add(camera.toX(xs[i] ?? 0) * scale, camera.toY(ys[i] ?? 0) * scale, cluster[i] ?? 0);
      });
      dots.put();
      context.setTransform(scale, 0, 0, scale, 0, 0);
      for (const i of shown) {
        const sprite = spriteOf(i);
        if (sprite) context.drawImage(sprite, camera.toX(xs[i] ?? 0) - side / 2, camera.toY(ys[i] ?? 0) - side / 2, side, side);
      }
      for (const i of marked) if (i >= 0) mark(i, Math.max(side, 72));

      /**
       * A picture that is pointed at lies on top, whether it has room or not.
       * @param {number} i
       * @param {number} big
       */
      function mark(i, big) {
        const [x, y] = [camera.toX(xs[i] ?? 0), camera.toY(ys[i] ?? 0)];
        const sprite = spriteOf(i);
        context.strokeStyle = ink;
        context.lineWidth = 3;
        context.beginPath();
        if (sprite) {
          context.drawImage(sprite, x - big / 2, y - big / 2, big, big);
          context.roundRect(x - big / 2 - 1, y - big / 2 - 1, big + 2, big + 2, big / 7);
        } else {
          context.arc(x, y, radius + 4, 0, 2 * Math.PI);
        }
        context.stroke();
      }
    },

    /**
     * Asks for what is shown and not here yet.
     * @param {number[]} marked
     */
    fetch(marked) {
      const wanted = [...marked.filter((i) => i >= 0), ...shown];
      items.want(wanted.map((i) => ids[i] ?? ""));
      sprites.want(wanted.filter((i) => srcOf(i) && !sprites.get(srcOf(i), colourOf(i))).map((i) => ({ src: srcOf(i), colour: colourOf(i) })));
    },
  };
}

/** @typedef {ReturnType<typeof createPainter>} Painter */
