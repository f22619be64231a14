/**
 * Cards in runs of whole rows. A run is laid out for itself, and not at all while it is far from the
 * window: what a frame costs does not grow with how much was found. To the eye it is one grid: a run ends
 * where a row does, also once the window has another width or a card has gone.
 */

import { make } from "./dom.js";

/** Cards of a run, up to the end of a row: some two windows full. */
const RUN = 48;

/** @param {HTMLElement} grid its runs share its columns and gaps */
export function createRuns(grid) {
  let columns = 0;
  // What is measured here was laid out just now; what it changes waits for the next frame.
  new ResizeObserver(() => requestAnimationFrame(fit)).observe(grid);

  function fit() {
    const first = grid.firstElementChild;
    if (!first || !columns) return;
    const rows = rowsOf(first, columns);
    const height = first.getBoundingClientRect().height / rows;
    if (rows && height > 0) grid.style.setProperty("--row-height", `${Math.round(height)}px`);
    if (countColumns(grid) !== columns) refill();
  }

  /** Every run anew; what is at the top of the window stays there. */
  function refill() {
    const anchor = atTheTop(grid);
    const before = anchor?.getBoundingClientRect().top ?? 0;
    const all = Array.from(grid.children).flatMap((run) => Array.from(run.children));
    columns = countColumns(grid);
    keepingFocus(() => {
      grid.replaceChildren();
      append(all);
    });
    if (anchor) scrollBy(0, anchor.getBoundingClientRect().top - before);
  }

  /** @param {Element[]} elements cards, and names of groups */
  function append(elements) {
    columns ||= countColumns(grid);
    let run = grid.lastElementChild;
    let count = run?.childElementCount ?? 0;
    let column = run ? columnBehind(run, columns) : 0;
    /** @type {Element[]} */
    let fresh = [];
    for (const element of elements) {
      if (!run || (count >= RUN && (column === 0 || isHead(element)))) {
        finish(run, fresh);
        run = grid.appendChild(make("ol", { class: "run" }));
        fresh = [];
        count = 0;
      }
      fresh.push(element);
      count += 1;
      column = isHead(element) ? 0 : (column + 1) % columns;
    }
    finish(run, fresh);
  }

  /** @param {Element | null} run @param {Element[]} fresh */
  function finish(run, fresh) {
    if (!(run instanceof HTMLElement) || !fresh.length) return;
    run.append(...fresh);
    run.style.setProperty("--rows", String(rowsOf(run, columns)));
  }

  return {
    append,
    clear() {
      grid.replaceChildren();
      columns = 0;
    },
    /**
     * Takes a card away; those behind it move up.
     * @param {Element} card
     */
    remove(card) {
      /** @type {Element | null | undefined} */
      let run = card.parentElement;
      card.remove();
      keepingFocus(() => {
        while (run && fillUp(run)) run = run.nextElementSibling;
      });
    },
  };

  /**
   * Ends a run with a whole row again; did that change the next one?
   * @param {Element} run
   */
  function fillUp(run) {
    let isChanged = false;
    while (columnBehind(run, columns) !== 0 && run.nextElementSibling) {
      const first = run.nextElementSibling.firstElementChild;
      if (first && isHead(first)) break;
      if (first) run.append(first);
      else run.nextElementSibling.remove();
      isChanged = true;
    }
    if (!run.firstElementChild) run.remove();
    return isChanged;
  }
}

/** @param {Element} element */
const isHead = (element) => element.classList.contains("group");

/** @param {Element} grid */
export function countColumns(grid) {
  return getComputedStyle(grid).gridTemplateColumns.split(" ").length;
}

/**
 * Where in its row the next card would stand.
 * @param {Element} run
 * @param {number} columns
 */
function columnBehind(run, columns) {
  let cards = 0;
  for (let last = run.lastElementChild; last && !isHead(last); last = last.previousElementSibling) cards += 1;
  return cards % columns;
}

/**
 * Rows of cards.
 * @param {Element} run
 * @param {number} columns
 */
function rowsOf(run, columns) {
  let [rows, column] = [0, 0];
  for (const element of run.children) {
    if (!isHead(element) && column === 0) rows += 1;
    column = isHead(element) ? 0 : (column + 1) % columns;
  }
  return rows;
}

/**
 * The first card that begins below the upper edge of the window.
 * @param {Element} grid
 */
function atTheTop(grid) {
  const run = Array.from(grid.children).find((one) => one.getBoundingClientRect().bottom > 0);
  return run && Array.from(run.children).find((card) => card.getBoundingClientRect().top >= 0);
}

/**
 * An element that is moved would lose the focus.
 * @param {() => void} move
 */
function keepingFocus(move) {
  const focused = document.activeElement;
  move();
  if (focused instanceof HTMLElement && focused !== document.activeElement) focused.focus({ preventScroll: true });
}
