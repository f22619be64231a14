/**
 * Keys on the map.
 *
 * @typedef {object} Moves
 * @property {(x: number, y: number) => void} pan
 * @property {(x: number, y: number) => void} walk to the next point that way
 * @property {(isNearer: boolean) => void} zoom
 * @property {() => void} whole
 * @property {() => void} open
 * @property {() => void} leave the point
 */

/** @type {Record<string, [number, number]>} */
const WAYS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };

/** @param {Moves} moves @returns {(event: KeyboardEvent) => (() => void) | undefined} what a key does, if anything */
export function keysOf({ pan, walk, zoom, whole, open, leave }) {
  /** @type {Record<string, () => void>} */
  const others = {
    "+": () => zoom(true),
    "=": () => zoom(true),
    "-": () => zoom(false),
    "_": () => zoom(false),
    0: whole,
    Home: whole,
    Enter: open,
    " ": open,
    Escape: leave,
  };
  return (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return undefined;
    const way = WAYS[event.key];
    if (!way) return others[event.key];
    return () => (event.shiftKey ? walk(...way) : pan(...way));
  };
}
