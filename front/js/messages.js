/** What goes wrong, in words, beside where it happened. */

import { ApiError } from "./api.js";
import { byId, make, part, stamp } from "./dom.js";
import { t } from "./language.js";
import { UnreadablePicture } from "./picture.js";

/**
 * @typedef {object} Words
 * @property {string} title
 * @property {string} text
 * @property {string[]} [details]
 */

/** @param {unknown} error @returns {Words} */
export function inWords(error) {
  if (error instanceof UnreadablePicture) {
    return { title: t("This is not a picture the browser can read"), text: error.message };
  }
  if (!(error instanceof ApiError)) return { title: t("Something went wrong on this page"), text: String(error) };
  const { message: text, details } = error;
  switch (error.kind) {
    case "away":
      return { title: t("The search server is away"), text: t("{what}. Check that it runs, then try again.", { what: text }) };
    case "refused":
      return { title: t("The server could not take this search"), text, details };
    case "failed":
      return { title: t("The server ran into a problem"), text, details };
    case "unreadable":
      return { title: t("The server's answer makes no sense here"), text };
  }
}

/** @param {boolean} isNarrowed whether filters or a cut-off leave things out @returns {Words} */
export const nothingFound = (isNarrowed) => ({
  title: t("Nothing found"),
  text: isNarrowed
    ? t("Nothing passes the filters. Widen or clear them.")
    : t("Try other words, another picture, or another index."),
});

/**
 * Shows a message in a place of the page, or clears the place.
 * @param {HTMLElement} place
 * @param {Words | null} words
 * @param {() => void} [retry]
 */
export function showMessage(place, words, retry) {
  // The button pressed goes with its message: the focus needs another home.
  if (place.contains(document.activeElement)) byId("results-title", HTMLElement).focus({ preventScroll: true });
  if (!words) return place.replaceChildren();
  const message = stamp("message-template");
  const button = part(message, "button", HTMLButtonElement);
  const list = part(message, ".message-details", HTMLElement);
  part(message, ".message-title", HTMLElement).textContent = words.title;
  part(message, ".message-text", HTMLElement).textContent = words.text;
  for (const detail of words.details ?? []) {
    const line = document.createElement("li");
    line.textContent = detail;
    list.append(line);
  }
  if (!list.children.length) list.remove();
  if (retry) button.addEventListener("click", retry);
  else button.remove();
  place.replaceChildren(message);
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let fading;

/**
 * A word in passing, for what leaves the results as they are.
 * @param {Words} words
 */
export function toast({ title, text }) {
  document.getElementById("toast")?.remove();
  const place = make("div", { id: "toast", role: "alert" });
  // What lies beneath a modal dialog is neither seen nor heard.
  (document.querySelector("dialog[open]") ?? document.body).append(place);
  place.textContent = text ? `${title}: ${text}` : title;
  clearTimeout(fading);
  fading = setTimeout(() => place.remove(), 7000);
}
