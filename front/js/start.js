/** The empty page: a few searches to try. */

import { byId, isPlainClick } from "./dom.js";
import { words } from "./terms.js";

const ANY = ["a dog playing in the snow", "city lights at night", "people laughing", "red flowers", "boats on a calm sea"];

/** @type {Record<string, string[]>} */
const BY_INDEX = {
  emoji: ["red fruit", "musical instrument", "monkey and banana", "rainy weather", "a happy face", "something to drink"],
};

/**
 * @param {import("./state.js").PageState} state
 * @param {string} index the index to be searched
 */
export function showExamples(state, index) {
  const list = byId("examples", HTMLUListElement);
  byId("start", HTMLElement).hidden = false;
  const examples = BY_INDEX[index] ?? ANY;
  list.replaceChildren(
    ...examples.map((text) => {
      const link = document.createElement("a");
      link.textContent = text;
      link.href = state.link({ terms: [words(text)] });
      link.dataset.action = "example";
      link.addEventListener("click", (event) => {
        if (!isPlainClick(event)) return;
        event.preventDefault();
        state.ask([words(text)]);
      });
      const row = document.createElement("li");
      row.append(link);
      return row;
    }),
  );
}
