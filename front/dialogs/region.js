/** Searching by a part of a picture: a rectangle drawn on it, cut out and searched for instead. */

import { make } from "../js/dom.js";
import { t } from "../js/language.js";
import { join } from "../js/api.js";
import { originalOf, shrink } from "../js/picture.js";
import { isAddress, isSame } from "../js/terms.js";
import { action, showDialog } from "./dialog.js";
import { mountRectangle } from "./rectangle.js";

/**
 * @param {import("../js/api.js").Api} api
 * @param {import("../js/state.js").PageState} state
 * @param {import("../js/terms.js").Term} term
 */
export async function openRegion(api, state, term) {
  const whole = await wholePicture(api, state.get().index, term);
  const address = URL.createObjectURL(whole);
  const image = make("img", { src: address, alt: t("The picture to choose a part of"), draggable: "false" });
  await image.decode();
  const stage = make("div", { class: "stage" }, image);
  const rectangle = mountRectangle(stage);
  const dialog = await showDialog(
    t("Search a part of the picture"),
    "region",
    make("p", { class: "soft" }, t("Drag a rectangle around what matters. Arrow keys move it, with Shift they resize it.")),
    stage,
    make(
      "footer",
      {},
      action("crop", t("Search this part"), async () => {
        const part = await cut(image, rectangle.get());
        const found = await shrink(part, t("Part of a picture"));
        dialog.close();
        state.ask(state.get().terms.map((other) => (isSame(other, term) ? { ...found, weight: term.weight } : other)));
      }, "strong"),
    ),
  );
  rectangle.focus();
  dialog.addEventListener("close", () => URL.revokeObjectURL(address));
}

/**
 * @param {import("../js/api.js").Api} api
 * @param {string} index
 * @param {import("../js/terms.js").Term} term
 */
async function wholePicture(api, index, { kind, value }) {
  const kept = originalOf(value);
  if (kept) return kept;
  if (kind === "picture" || isAddress(value)) return api.picture(value);
  const config = await api.config();
  const name = encodeURIComponent(index || config.index);
  return api.picture(join(config.base, `indices/${name}/pictures/${value}`));
}

/**
 * @param {HTMLImageElement} image
 * @param {import("./rectangle.js").Rectangle} part in shares of the picture
 * @returns {Promise<Blob>}
 */
async function cut(image, { x, y, width, height }) {
  const canvas = make("canvas", {
    width: Math.max(1, Math.round(width * image.naturalWidth)),
    height: Math.max(1, Math.round(height * image.naturalHeight)),
  });
  const context = canvas.getContext("2d");
  context?.drawImage(image, -x * image.naturalWidth, -y * image.naturalHeight);
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no canvas"))), "image/png"),
  );
}
