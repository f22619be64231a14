/** The names of the clusters over the map: those of larger ones first, where no other is in the way. */

import { make } from "../js/dom.js";
import { counted, t } from "../js/language.js";

const GAP = 6;
const SHOWN = 2; // words: more would hide the pictures

/**
 * @param {import("./data.js").Plan} plan
 * @param {import("./camera.js").Camera} camera
 * @param {(cluster: number) => void} onChoose
 */
export function createNames({ clusters }, camera, onChoose) {
  const list = make("ul", { class: "map-names", "aria-label": t("Clusters") });
  /** @type {{row: HTMLElement, x: number, y: number, width: number, height: number}[]} */
  let rows = [];

  clusters.forEach(({ words, size, x, y }, number) => {
    if (!words.length) return;
    const button = make("button", { type: "button" }, make("i"), make("span", {}, words.slice(0, SHOWN).join(" · ")));
    button.title = `${words.join(", ")} (${counted(size, "{n} picture", "{n} pictures")})`;
    button.addEventListener("click", () => onChoose(number));
    const row = make("li", { "data-cluster": number }, button);
    list.append(row);
    rows.push({ row, x, y, width: 0, height: 0 });
  });

  return {
    list,
    /** @param {string[]} colours */
    colour(colours) {
      for (const { row } of rows) row.style.setProperty("--colour", colours[Number(row.dataset.cluster)] ?? "");
    },
    measure() {
      for (const row of rows) {
        row.row.hidden = false;
        ({ offsetWidth: row.width, offsetHeight: row.height } = row.row);
      }
    },
    /** @param {number} width of the window @param {number} height */
    place(width, height) {
      /** @type {[number, number, number, number][]} */
      const placed = [];
      for (const { row, x, y, width: w, height: h } of rows) {
        const left = Math.min(width - w - GAP, Math.max(GAP, camera.toX(x) - w / 2));
        const top = camera.toY(y) - h / 2;
        const isOutside = camera.toX(x) < 0 || camera.toX(x) > width || top < 0 || top + h > height;
        const isCovered = placed.some(([l, u, r, d]) => left < r + GAP && left + w + GAP > l && top < d + GAP && top + h + GAP > u);
        row.hidden = isOutside || isCovered;
        if (row.hidden) continue;
        placed.push([left, top, left + w, top + h]);
        row.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
      }
    },
  };
}
