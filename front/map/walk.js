/** From point to point, as they lie on the map. */

const ASIDE = 2; // a pixel aside counts as so many ahead

/**
 * The nearest point in a direction, or -1.
 * @param {import("./data.js").Plan} plan
 * @param {number} from
 * @param {number} dx 1 to the right, -1 to the left, or 0
 * @param {number} dy
 */
export function neighbour({ xs, ys }, from, dx, dy) {
  const [x, y] = [xs[from] ?? 0, ys[from] ?? 0];
  let [best, cost] = [-1, Infinity];
  for (let i = 0; i < xs.length; i++) {
    const [right, down] = [(xs[i] ?? 0) - x, (ys[i] ?? 0) - y];
    const ahead = right * dx + down * dy;
    const aside = Math.abs(right * dy) + Math.abs(down * dx);
    if (ahead <= 0 || aside > ahead || ahead + ASIDE * aside >= cost) continue;
    [best, cost] = [i, ahead + ASIDE * aside];
  }
  return best;
}

/**
 * The point nearest to a place; -1 where there is none.
 * @param {import("./data.js").Plan} plan
 * @param {number} x
 * @param {number} y
 */
export function nearest({ xs, ys }, x, y) {
  let [best, least] = [-1, Infinity];
  for (let i = 0; i < xs.length; i++) {
    const away = ((xs[i] ?? 0) - x) ** 2 + ((ys[i] ?? 0) - y) ** 2;
    if (away < least) [best, least] = [i, away];
  }
  return best;
}
