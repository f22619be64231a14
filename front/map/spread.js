/** Points in one and the same place, parted a little so that each can be seen and reached. */

const TURN = Math.PI * (3 - Math.sqrt(5)); // the golden angle: a spiral without gaps
const STEP = 0.004;

/**
 * Changes the coordinates in place.
 * @param {Float32Array} xs 0 to 1
 * @param {Float32Array} ys
 */
export function spread(xs, ys) {
  /** @type {Map<string, number>} */
  const seen = new Map();
  for (let i = 0; i < xs.length; i++) {
    const [x, y] = [xs[i] ?? 0, ys[i] ?? 0];
    const place = `${x} ${y}`;
    const before = seen.get(place) ?? 0;
    seen.set(place, before + 1);
    const away = STEP * Math.sqrt(before);
    xs[i] = Math.min(1, Math.max(0, x + away * Math.cos(before * TURN)));
    ys[i] = Math.min(1, Math.max(0, y + away * Math.sin(before * TURN)));
  }
}
