/** The caption of the point that is pointed at. */

import { make } from "../js/dom.js";

const GAP = 10;

export function createTip() {
  const element = make("div", { class: "map-tip", "aria-hidden": "true", hidden: true });
  return {
    element,
    hide: () => void (element.hidden = true),
    /**
     * @param {string} words
     * @param {number} x of the point
     * @param {number} y
     * @param {number} away pixels that its picture reaches down
     * @param {number} width of the map
     */
    show(words, x, y, away, width) {
      element.textContent = words;
      element.hidden = false;
      const left = Math.min(width - element.offsetWidth - GAP, Math.max(GAP, x - element.offsetWidth / 2));
      element.style.transform = `translate(${Math.round(left)}px, ${Math.round(y + away + GAP)}px)`;
    },
  };
}
