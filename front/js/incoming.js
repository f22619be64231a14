/**
 * Pictures that are dropped on the page or pasted into it, as files, as addresses, or as results. A drop
 * searches with them, or adds them to the search: the page offers a place for each.
 */

import { ID_TYPE } from "./card.js";
import { byId } from "./dom.js";
import { isAddress } from "./terms.js";

/**
 * @param {object} on
 * @param {(files: File[], isAdded: boolean) => void} on.files
 * @param {(address: string, isAdded: boolean) => void} on.address
 * @param {(id: string, isAdded: boolean) => void} on.id
 * @param {() => boolean} on.canAdd whether there is a search to add to
 */
export function mountIncoming(on) {
  const cover = byId("drop", HTMLElement);
  const adding = byId("drop-add", HTMLElement);
  const replacing = byId("drop-search", HTMLElement);
  let depth = 0;
  /** @param {number} next */
  function setDepth(next) {
    depth = Math.max(0, next);
    cover.hidden = depth === 0;
    adding.hidden = !on.canAdd();
  }
  /** @param {DragEvent} event */
  function isAdded(event) {
    const { left, right, top, bottom } = adding.getBoundingClientRect();
    const { clientX: x, clientY: y } = event;
    return !cover.hidden && !adding.hidden && x >= left && x <= right && y >= top && y <= bottom;
  }

  addEventListener("dragenter", (event) => {
    if (isWelcome(event.dataTransfer)) setDepth(depth + 1);
  });
  addEventListener("dragleave", (event) => {
    if (isWelcome(event.dataTransfer)) setDepth(depth - 1);
  });
  addEventListener("dragend", () => setDepth(0));
  addEventListener("dragover", (event) => {
    if (!isWelcome(event.dataTransfer)) return;
    event.preventDefault();
    adding.classList.toggle("aimed", isAdded(event));
    replacing.classList.toggle("aimed", !isAdded(event));
  });
  addEventListener("drop", (event) => {
    const added = isAdded(event);
    setDepth(0);
    const data = event.dataTransfer;
    if (!data || !isWelcome(data)) return;
    event.preventDefault();
    const id = data.getData(ID_TYPE);
    const files = picturesIn(data.files);
    const address = addressIn(data);
    if (id) on.id(id, added);
    else if (files.length) on.files(files, added);
    else if (address) on.address(address, added);
  });

  document.addEventListener("paste", (event) => {
    const data = event.clipboardData;
    if (!data || (event.target instanceof Element && event.target.closest("dialog, [popover]"))) return;
    const files = Array.from(data.files).filter(isPicture);
    const text = data.getData("text/plain").trim();
    if (files.length && !text) {
      event.preventDefault();
      on.files(files, true);
    } else if (isAddress(text) && replacesAll(event.target)) {
      event.preventDefault();
      on.address(text, true);
    }
  });
}

/** @param {DataTransfer | null} data */
function isWelcome(data) {
  return Boolean(data && ["Files", "text/uri-list", ID_TYPE].some((type) => data.types.includes(type)));
}

/** @param {File} file */
function isPicture(file) {
  return file.type.startsWith("image/");
}

/**
 * Where no file looks like a picture, the first is tried all the same.
 * @param {FileList} files
 */
function picturesIn(files) {
  const pictures = Array.from(files).filter(isPicture);
  return pictures.length ? pictures : Array.from(files).slice(0, 1);
}

/**
 * A dragged picture names its own address in HTML; the list may hold the page it links to.
 * @param {DataTransfer} data
 */
function addressIn(data) {
  const html = new DOMParser().parseFromString(data.getData("text/html"), "text/html");
  const lines = data.getData("text/uri-list").split(/\r?\n/).filter((line) => !line.startsWith("#"));
  return [html.querySelector("img")?.getAttribute("src") ?? "", ...lines].find(isAddress);
}

/**
 * Pasting into the middle of some words is ordinary typing.
 * @param {EventTarget | null} target
 */
function replacesAll(target) {
  if (!(target instanceof HTMLInputElement) && !(target instanceof HTMLTextAreaElement)) return true;
  const { selectionStart: start, selectionEnd: end, value } = target;
  return (end ?? 0) - (start ?? 0) === value.length;
}
