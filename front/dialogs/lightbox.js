/** The large view of one result: picture, metadata, what can be done with it, and the next one. */

import { make } from "../js/dom.js";
import { t } from "../js/language.js";
import { toast } from "../js/messages.js";
import { focusCard } from "../js/results.js";
import { item, withTerm } from "../js/terms.js";
import { action, showDialog } from "./dialog.js";
import { allColumns } from "./metadata.js";

/** So near the end of what is shown, the next page is asked for. */
const NEAR_END = 6;

/**
 * @param {import("../js/on-demand.js").Parts} parts `search`: whose results it leads through
 * @param {string} id
 * @param {(id: string) => void} goBack to the result that was looked at last
 */
export async function openLightbox(parts, id, goBack = focusCard) {
  const { search, state } = parts;
  const isModern = document.body.classList.contains("modern");
  const image = make("img", { alt: "" });
  const words = make("p", { class: "lightbox-words" });
  const caption = make("p", { class: "lightbox-caption" });
  const facts = make("dl", { class: "facts" });
  const original = make("a", { class: "plain", target: "_blank", rel: "noopener noreferrer" }, t("Open the original"));
  const previous = action("back", t("Previous"), () => step(-1), "quiet turn");
  const next = action("forth", t("Next"), () => step(1), "quiet turn");
  /** @param {1 | -1} weight */
  const weigh = (weight) => leave(() => state.ask(withTerm(state.get().terms, item(id, weight))));
  const similar = () => leave(() => state.ask([item(id)]));
  const dialog = await showDialog(
    t("Result"),
    "lightbox",
    make("div", { class: "lightbox-picture" }, previous, make("div", { class: "lightbox-frame" }, image, words), next),
    make(
      "div",
      { class: "lightbox-side" },
      caption,
      make(
        "div",
        { class: "lightbox-actions" },
        action("alike", t("Similar"), similar, "strong"),
        isModern && action("plus", t("More like this"), () => weigh(1)),
        isModern && action("minus", t("Less like this"), () => weigh(-1)),
        original,
        action("copy", t("Copy the address"), copy),
      ),
      facts,
    ),
  );
  image.addEventListener("error", () => {
    const { src } = current() ?? { src: "" };
    if (src && image.src !== src) image.src = src;
  });
  dialog.addEventListener("keydown", (event) => {
    /** @type {Record<string, () => void>} */
    const keys = {
      ArrowRight: () => step(1),
      ArrowLeft: () => step(-1),
      s: similar,
      ...(isModern && { m: () => weigh(1), l: () => weigh(-1) }),
    };
    const key = keys[event.key];
    if (!key || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    key();
  });
  dialog.addEventListener("close", () => goBack(id));
  show();

  function shown() {
    const { results, broken } = search.get();
    return results.filter((result) => !broken.has(result.id));
  }

  function current() {
    return search.get().results.find((result) => result.id === id);
  }

  /** @param {number} by */
  function step(by) {
    const all = shown();
    const place = all.findIndex((result) => result.id === id) + by;
    const found = all[place];
    if (place > all.length - NEAR_END) search.more();
    if (!found) return;
    id = found.id;
    show();
  }

  function show() {
    const result = current();
    if (!result) return;
    const all = shown();
    const place = all.indexOf(result);
    previous.disabled = place <= 0;
    next.disabled = place === all.length - 1 && !search.get().rest;
    image.hidden = !result.src;
    // What is there already stands in until the whole picture is here.
    image.src = result.src;
    if (result.href) wholeOf(result);
    image.alt = result.caption || t("Picture {id}", { id });
    words.textContent = result.src ? "" : result.caption;
    caption.textContent = result.caption;
    original.hidden = !result.href;
    if (result.href) original.href = result.href;
    tell(result.metadata, result);
    if (isModern) allColumns(parts, id).then((columns) => columns && current() === result && tell(columns, result));
  }

  /** @param {import("../js/item.js").Result} result */
  function wholeOf({ href, id: of }) {
    const whole = new Image();
    whole.addEventListener("load", () => {
      if (of === id) image.src = href;
    });
    whole.src = href;
  }

  /** @param {import("../js/api.js").Columns} metadata @param {import("../js/item.js").Result} result */
  function tell(metadata, { score }) {
    const rows = Object.entries({ id, ...(score && { [t("Similarity")]: score }), ...metadata });
    facts.replaceChildren(
      ...rows
        .filter(([, value]) => value !== null && value !== "")
        .map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, inText(value)))),
    );
  }

  async function copy() {
    const address = current()?.href ?? "";
    try {
      await navigator.clipboard.writeText(address || location.href);
      toast({ title: t("Copied"), text: address });
    } catch {
      toast({ title: t("The browser does not let the page copy"), text: address });
    }
  }

  /** @param {() => void} then */
  function leave(then) {
    dialog.close();
    then();
  }
}

/** @param {unknown} value */
function inText(value) {
  if (Array.isArray(value)) return value.join(", ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
