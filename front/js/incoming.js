/** Pictures that are dropped on the page or pasted into it, as files, as addresses, or as results. */

import { byId } from "./dom.js";
import { ID_TYPE } from "./results.js";
import { isAddress } from "./state.js";

/**
 * @param {object} on
 * @param {(file: File) => void} on.file
 * @param {(address: string) => void} on.address
 * @param {(id: string) => void} on.id
 */
export function mountIncoming(on) {
  const cover = byId("drop", HTMLElement);
  let depth = 0;
  /** @param {number} next */
  function setDepth(next) {
    depth = Math.max(0, next);
    cover.hidden = depth === 0;
  }

  addEventListener("dragenter", (event) => {
    if (isWelcome(event.dataTransfer)) setDepth(depth + 1);
  });
  addEventListener("dragleave", (event) => {
    if (isWelcome(event.dataTransfer)) setDepth(depth - 1);
  });
  addEventListener("dragend", () => setDepth(0));
  addEventListener("dragover", (event) => {
    if (isWelcome(event.dataTransfer)) event.preventDefault();
  });
  addEventListener("drop", (event) => {
    setDepth(0);
    const data = event.dataTransfer;
    if (!data || !isWelcome(data)) return;
    event.preventDefault();
    const id = data.getData(ID_TYPE);
    const file = imageIn(data.files) ?? data.files[0];
    const address = addressIn(data);
    if (id) on.id(id);
    else if (file) on.file(file);
    else if (address) on.address(address);
  });

  addEventListener("paste", (event) => {
    const data = event.clipboardData;
    if (!data) return;
    const file = imageIn(data.files);
    const text = data.getData("text/plain").trim();
    if (file && !text) {
      event.preventDefault();
      on.file(file);
    } else if (isAddress(text) && replacesAll(event.target)) {
      event.preventDefault();
      on.address(text);
    }
  });
}

/** @param {DataTransfer | null} data */
function isWelcome(data) {
  return Boolean(data && ["Files", "text/uri-list", ID_TYPE].some((type) => data.types.includes(type)));
}

/** @param {FileList} files */
function imageIn(files) {
  return Array.from(files).find((file) => file.type.startsWith("image/"));
}

/** A dragged picture names its own address in HTML; the list may hold the page it links to. @param {DataTransfer} data */
function addressIn(data) {
  const html = new DOMParser().parseFromString(data.getData("text/html"), "text/html");
  const lines = data.getData("text/uri-list").split(/\r?\n/).filter((line) => !line.startsWith("#"));
  return [html.querySelector("img")?.getAttribute("src") ?? "", ...lines].find(isAddress);
}

/** Pasting into the middle of some words is ordinary typing. @param {EventTarget | null} target */
function replacesAll(target) {
  if (!(target instanceof HTMLInputElement) && !(target instanceof HTMLTextAreaElement)) return true;
  const { selectionStart: start, selectionEnd: end, value } = target;
  return (end ?? 0) - (start ?? 0) === value.length;
}
