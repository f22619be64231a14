/** Bars that show how many lie where. */

import { make } from "../js/dom.js";

/** @param {number[]} counts @param {(i: number) => boolean} isIn which bars are within what is chosen */
export function drawBars(counts, isIn) {
  const most = Math.max(1, ...counts);
  const bars = counts.map((count, i) => {
    const bar = make("i", { class: isIn(i) ? "in" : "" });
    bar.style.height = `${count ? Math.max(4, (count / most) * 100) : 0}%`;
    return bar;
  });
  return make("div", { class: "bars", "aria-hidden": "true" }, ...bars);
}

/** @param {HTMLElement} bars @param {(i: number) => boolean} isIn */
export function markBars(bars, isIn) {
  for (const [i, bar] of [...bars.children].entries()) bar.classList.toggle("in", isIn(i));
}

/**
 * How many numbers lie in each of some equal parts of their span.
 * @param {number[]} numbers
 * @param {number} parts
 */
export function binned(numbers, parts) {
  const least = Math.min(...numbers);
  const greatest = Math.max(...numbers);
  const width = (greatest - least) / parts || 1;
  const counts = new Array(parts).fill(0);
  for (const number of numbers) counts[Math.min(parts - 1, Math.floor((number - least) / width))] += 1;
  return { least, greatest, width, counts: /** @type {number[]} */ (counts) };
}
