/** Makes a picture small enough to send: the server looks at a few hundred pixels a side at most. */

import { picture } from "./terms.js";

const MAX_SIDE = 512;
const MAX_PNG = 400_000;

/** The files of pictures that were scaled down, as long as the page lasts: a part of one is cut from these. */
const originals = /** @type {Map<string, Blob>} */ (new Map());

export class UnreadablePicture extends Error {}

/**
 * What a scaled-down picture was made from, where it is known.
 * @param {string} data
 */
export const originalOf = (data) => originals.get(data);

/**
 * @param {Blob} file anything the browser can show
 * @param {string} name
 * @returns {Promise<import("./terms.js").Term>} raises `UnreadablePicture`
 */
export async function shrink(file, name) {
  const address = URL.createObjectURL(file);
  try {
    const image = new Image();
    image.src = address;
    await image.decode();
    const data = draw(image, file.type);
    originals.set(data, file);
    return picture(data, name);
  } catch {
    throw new UnreadablePicture(name);
  } finally {
    URL.revokeObjectURL(address);
  }
}

/** @param {HTMLImageElement} image @param {string} type */
function draw(image, type) {
  // A drawing without a size of its own reports 0.
  const width = image.naturalWidth || MAX_SIDE;
  const height = image.naturalHeight || MAX_SIDE;
  const scale = Math.min(1, MAX_SIDE / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d");
  if (!context) throw new Error("no canvas");
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  if (type !== "image/jpeg") {
    const png = canvas.toDataURL("image/png");
    if (png.length <= MAX_PNG) return png;
  }
  // JPEG has no transparency: put white beneath, not black.
  context.globalCompositeOperation = "destination-over";
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/jpeg", 0.9);
}
