/**
 * When a point's picture has room: at each level of nearness, pictures go to points in their order, where
 * no picture of an earlier point is in the way. What has a picture keeps it at all nearer levels, so that
 * none comes and goes while the map moves.
 */

export const NEVER = 255;

/**
 * @param {Float32Array} xs 0 to 1
 * @param {Float32Array} ys
 * @param {number[]} rooms the side of the square that a picture needs, in the map's coordinates; falling
 * @returns {Uint8Array} for each point the first level that has room for it, or `NEVER`
 */
export function levelsOf(xs, ys, rooms) {
  const found = new Uint8Array(xs.length).fill(NEVER);
  rooms.forEach((room, level) => {
    const cells = Math.ceil(1 / room) + 1;
    // A square of the room's side holds one picture at most; 0 is none. A frame around saves the edges' checks.
    const taken = new Uint32Array((cells + 2) ** 2);
    /** @param {number} i */
    const cellOf = (i) => (Math.floor((ys[i] ?? 0) / room) + 1) * (cells + 2) + Math.floor((xs[i] ?? 0) / room) + 1;
    for (let i = 0; i < xs.length; i++) if (found[i] !== NEVER) taken[cellOf(i)] = i + 1;
    for (let i = 0; i < xs.length; i++) {
      if (found[i] !== NEVER || isCrowded(i, cellOf(i))) continue;
      found[i] = level;
      taken[cellOf(i)] = i + 1;
    }

    /** @param {number} i @param {number} cell */
    function isCrowded(i, cell) {
      for (let row = cell - cells - 2; row <= cell + cells + 2; row += cells + 2) {
        for (let near = row - 1; near <= row + 1; near++) {
          const other = (taken[near] ?? 0) - 1;
          if (other < 0) continue;
          const away = Math.max(Math.abs((xs[i] ?? 0) - (xs[other] ?? 0)), Math.abs((ys[i] ?? 0) - (ys[other] ?? 0)));
          if (away < room) return true;
        }
      }
      return false;
    }
  });
  return found;
}
