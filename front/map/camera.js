/**
 * From the map's own coordinates to pixels and back: a scale and a shift.
 *
 * @typedef {{left: number, top: number, right: number, bottom: number}} Box
 */

const MARGIN = 0.07; // of the window's shorter side
export const NEAREST = 64;
const FARTHEST = 0.75;

/** @param {Float32Array} xs @param {Float32Array} ys @returns {Box} */
export function boundsOf(xs, ys) {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let i = 0; i < xs.length; i++) {
    const [x, y] = [xs[i] ?? 0, ys[i] ?? 0];
    left = Math.min(left, x);
    right = Math.max(right, x);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y);
  }
  return xs.length ? { left, top, right, bottom } : { left: 0, top: 0, right: 1, bottom: 1 };
}

/** @param {Box} bounds of what is on the map */
export function createCamera(bounds) {
  let [width, height, fit, scale, dx, dy] = [1, 1, 1, 1, 0, 0];
  const middle = { x: (bounds.left + bounds.right) / 2, y: (bounds.top + bounds.bottom) / 2 };

  /** What is in the middle of the window stays on the map. */
  function keepInside() {
    const x = Math.min(bounds.right, Math.max(bounds.left, (width / 2 - dx) / scale));
    const y = Math.min(bounds.bottom, Math.max(bounds.top, (height / 2 - dy) / scale));
    dx = width / 2 - x * scale;
    dy = height / 2 - y * scale;
  }

  /** @param {number} x @param {number} y @param {number} zoom */
  function look(x, y, zoom) {
    scale = fit * Math.min(NEAREST, Math.max(FARTHEST, zoom));
    dx = width / 2 - x * scale;
    dy = height / 2 - y * scale;
    keepInside();
  }

  const camera = {
    get zoom() {
      return scale / fit;
    },
    get scale() {
      return scale;
    },
    get fit() {
      return fit;
    },
    /** The place in the middle of the window, and how near it is. */
    get view() {
      return { x: (width / 2 - dx) / scale, y: (height / 2 - dy) / scale, zoom: scale / fit };
    },
    /** @param {number} x */
    toX: (x) => x * scale + dx,
    /** @param {number} y */
    toY: (y) => y * scale + dy,
    /** @param {number} x @param {number} y in pixels */
    toMap: (x, y) => ({ x: (x - dx) / scale, y: (y - dy) / scale }),
    look,
    /** All of it. */
    whole: () => ({ ...middle, zoom: 1 }),
    /**
     * The window has another size; what was in its middle stays there.
     * @param {number} w
     * @param {number} h
     */
    resize(w, h) {
      const { x, y, zoom } = camera.view;
      const isFirst = width === 1;
      [width, height] = [w, h];
      const span = { x: bounds.right - bounds.left, y: bounds.bottom - bounds.top };
      const margin = 2 * MARGIN * Math.min(w, h);
      const room = { x: w - margin, y: h - margin };
      fit = Math.min(room.x / Math.max(span.x, 1e-3), room.y / Math.max(span.y, 1e-3), 4 * Math.max(w, h));
      if (isFirst) look(middle.x, middle.y, 1);
      else look(x, y, zoom);
    },
    /** @param {number} x @param {number} y pixels to the right and down */
    pan(x, y) {
      dx += x;
      dy += y;
      keepInside();
    },
    /**
     * Nearer by a factor; what is at a pixel stays there.
     * @param {number} factor
     * @param {number} x
     * @param {number} y
     */
    zoomAt(factor, x, y) {
      const { x: mapX, y: mapY } = camera.toMap(x, y);
      scale = fit * Math.min(NEAREST, Math.max(FARTHEST, (scale / fit) * factor));
      dx = x - mapX * scale;
      dy = y - mapY * scale;
      keepInside();
    },
    /**
     * What the window shows, and so many pixels around it.
     * @param {number} around
     * @returns {Box}
     */
    window(around) {
      const { x: left, y: top } = camera.toMap(-around, -around);
      const { x: right, y: bottom } = camera.toMap(width + around, height + around);
      return { left, top, right, bottom };
    },
  };
  return camera;
}

/** @typedef {ReturnType<typeof createCamera>} Camera */
