/** What the server tells its operator: JSON and metrics, with a key where it asks for one. */

import { ApiError, createApi, join } from "../js/api.js";
import { askForKey, keyHeaders } from "../js/key.js";
import { t } from "../js/language.js";

const PATIENCE_MS = 10_000;

export function createServer() {
  const api = createApi("");

  /**
   * @param {string} path
   * @param {number[]} fine statuses that are answers
   * @returns {Promise<string>} raises `ApiError`
   */
  return async function read(path, fine = [200]) {
    const { base } = await api.config();
    const ours = new URL(base).origin === location.origin;
    const send = () => fetch(join(base, path), { headers: ours ? keyHeaders() : {}, signal: within(PATIENCE_MS) });
    /** @type {Response} */
    let response;
    /** @type {string} */
    let text;
    try {
      response = await send();
      while (ours && response.status === 401 && (await askForKey())) response = await send();
      text = await response.text();
    } catch {
      throw new ApiError("away", t("No answer from {base}", { base }));
    }
    if (fine.includes(response.status)) return text;
    throw new ApiError(response.status < 500 ? "refused" : "failed", messageOf(text) || `HTTP ${response.status}`, [], response.status);
  };
}

/** @param {number} ms */
function within(ms) {
  const control = new AbortController();
  setTimeout(() => control.abort(), ms);
  return control.signal;
}

/** @param {string} text */
function messageOf(text) {
  try {
    return String(JSON.parse(text).message ?? "");
  } catch {
    return "";
  }
}
