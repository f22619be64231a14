/** The frame of every dialog: a native one, with a title and a way out, gone once it is closed. */

import { icon, make, withStyles } from "../js/dom.js";
import { t } from "../js/language.js";

/**
 * Shows a modal dialog; Escape, the button and a click beside it close it.
 * @param {string} title
 * @param {string} name for its styles
 * @param {(Node | string | null | false)[]} body
 * @returns {Promise<HTMLDialogElement>}
 */
export async function showDialog(title, name, ...body) {
  await withStyles("dialogs");
  const close = make("button", { type: "button", class: "quiet dialog-close", "aria-label": t("Close") }, icon("close"));
  const heading = make("h2", { id: "dialog-title", tabindex: -1 }, title);
  const dialog = make("dialog", { class: name, "aria-labelledby": "dialog-title" }, make("header", {}, heading, close), ...body);
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && isBeside(dialog, event) && dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** @param {HTMLDialogElement} dialog @param {MouseEvent} event */
function isBeside(dialog, { clientX: x, clientY: y }) {
  const { left, right, top, bottom } = dialog.getBoundingClientRect();
  return x < left || x > right || y < top || y > bottom;
}

/**
 * A button with a drawing and words.
 * @param {string} drawing
 * @param {string} label
 * @param {() => void} onClick
 * @param {string} [look]
 */
export function action(drawing, label, onClick, look = "plain") {
  const button = make("button", { type: "button", class: look }, icon(drawing), make("span", {}, label));
  button.addEventListener("click", onClick);
  return button;
}
