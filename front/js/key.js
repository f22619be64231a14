/** The key of a server that asks for one: kept while the tab is open. */
import { byId } from "./dom.js";

let key = "";
try { key = sessionStorage.getItem("key") ?? ""; } catch { /* Forbidden: kept as long as the page. */ }
/** @type {Promise<boolean> | undefined} */
let asking;

/** @returns {Record<string, string>} */
export const keyHeaders = () => (key ? { Authorization: `Bearer ${key}` } : {});

/** Asks once for all calls that wait; whether a key was given. */
export const askForKey = () => (asking ??= new Promise((resolve) => {
  const [dialog, field] = [byId("key", HTMLDialogElement), byId("key-field", HTMLInputElement)];
  dialog.returnValue = field.value = "";
  dialog.onclose = () => {
    asking = undefined;
    if (dialog.returnValue) key = field.value.trim();
    try { sessionStorage.setItem("key", key); } catch { /* As above. */ }
    resolve(Boolean(dialog.returnValue));
  };
  dialog.showModal();
}));
