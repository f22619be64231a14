/**
 * Cards in runs of whole rows. A run is laid out for itself, and not at all while it is far from the
 * window: what a frame costs does not grow with how much was found. To the eye it is one grid: a run ends
 * where a row does, also once the window has another width or a card has gone. How high a run is follows
 * from how many rows and heads it has, drawn or not (results.css): nothing moves while one scrolls.
 */

import { make } from "./dom.js";

/** Cards of a run, up to the end of a row: some two windows full. */
const RUN = 48;

/**
 * @param {HTMLElement} grid its runs share its columns and gaps
 * @param {(run: Element) => void} onFill a run holds other cards than before
 */
export function createRuns(grid, onFill) {
  let columns = 0;
  // What is measured here was laid out just now; what it changes waits for the next frame.
  new ResizeObserver(() => requestAnimationFrame(fit)).observe(grid);

  function fit() {
    if (grid.firstElementChild && columns && countColumns(grid) !== columns) refill();
  }

  /** Every run anew; what is at the top of the window stays there. */
  function refill() {
    const anchor = scrollY ? atTheTop(grid) : undefined;
    const before = anchor?.getBoundingClientRect().top ?? 0;
    const all = Array.from(grid.children).flatMap((run) => Array.from(run.children));
    columns = 0;
    keepingFocus(() => {
      grid.replaceChildren();
      append(all);
    });
    if (anchor) scrollBy(0, anchor.getBoundingClientRect().top - before);
  }

  /** @param {Element[]} elements cards, and names of groups */
  function append(elements) {
    if (!columns) {
      columns = countColumns(grid);
      grid.style.setProperty("--columns", String(columns));
    }
    let run = grid.lastElementChild;
    let count = run?.childElementCount ?? 0;
    let column = run ? shapeOf(run, columns).column : 0;
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
    if (!run || !fresh.length) return;
    run.append(...fresh);
    shape(run);
  }

  /** @param {Element} run */
  function shape(run) {
    const { rows, heads } = shapeOf(run, columns);
    if (run instanceof HTMLElement) run.style.cssText = `--rows: ${rows}; --heads: ${heads}`;
    onFill(run);
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
    while (shapeOf(run, columns).column !== 0 && run.nextElementSibling) {
      const first = run.nextElementSibling.firstElementChild;
      if (first && isHead(first)) break;
      if (first) run.append(first);
      else run.nextElementSibling.remove();
      isChanged = true;
    }
    if (run.firstElementChild) shape(run);
    else run.remove();
    return isChanged;
  }
}

/** @param {Element} element */
const isHead = (element) => element.classList.contains("group");

/** @param {Element} grid */
export function countColumns(grid) {
  return getComputedStyle(grid, "::before").gridTemplateColumns.split(" ").length;
}

/**
 * Rows of cards, names of groups, and where in its row the next card would stand.
 * @param {Element} run
 * @param {number} columns
 */
function shapeOf(run, columns) {
  let [rows, heads, column] = [0, 0, 0];
  for (const element of run.children) {
    if (isHead(element)) {
      heads += 1;
      column = 0;
    } else {
      if (column === 0) rows += 1;
      column = (column + 1) % columns;
    }
  }
  return { rows, heads, column };
}

/**
 * The first card that is in sight, be it in part.
 * @param {Element} grid
 */
export function atTheTop(grid) {
  const run = Array.from(grid.children).find((one) => one.getBoundingClientRect().bottom > 0);
  const cards = Array.from(run?.querySelectorAll(".card") ?? []);
  return cards.find((card) => card.getBoundingClientRect().bottom > 0);
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
