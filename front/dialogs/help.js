/** Keys, and the one-line form of composed queries. */

import { make } from "../js/dom.js";
import { t } from "../js/language.js";
import { showDialog } from "./dialog.js";

/** @returns {[string[], string][]} */
const keys = () => [
  [["/"], t("Go to the search box")],
  [["Enter"], t("Search; open a result")],
  [["Esc"], t("Clear the box, then the search; close a dialog")],
  [["←", "→", "↑", "↓"], t("From result to result; in the large view, to the next one")],
  [["F"], t("Filters")],
  [["D"], t("Draw a sketch")],
  [["V"], t("Results as a grid, or on a map")],
  [["+", "−", "0"], t("On a map: nearer, farther, all of it")],
  [["←", "→", "↑", "↓"], t("On a map: move it; with Shift, from picture to picture")],
  [["S", "M", "L"], t("In the large view: similar, more like it, less like it")],
  [["↑", "↓", "−"], t("On a term: more weight, less weight, away from it")],
  [["Del"], t("On a term: remove it")],
  [["?"], t("This sheet")],
];

/** @returns {[string, string][]} */
const lines = () => [
  ["red apple", t("words")],
  ["2:dog + beach - leash", t("words, one of twice the weight, one to stay away from")],
  ["#543 + at night", t("an item of the index, and words")],
  ["https://… - people", t("the address of a picture, and what to stay away from")],
  ['"well + good"', t("words, whatever stands in them")],
];

export function openHelp() {
  const keyList = make("dl", { class: "keys" });
  for (const [names, what] of keys()) {
    keyList.append(
      make("div", {}, make("dt", {}, ...names.map((name) => make("kbd", {}, name))), make("dd", {}, what)),
    );
  }
  const lineList = make("dl", { class: "lines" });
  for (const [line, what] of lines()) {
    lineList.append(make("div", {}, make("dt", {}, make("code", {}, line)), make("dd", {}, what)));
  }
  const isModern = document.body.classList.contains("modern");
  return showDialog(
    t("Keys and help"),
    "help",
    keyList,
    isModern && make("h3", {}, t("What may be written in the search box")),
    isModern && lineList,
  );
}
