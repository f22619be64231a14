/**
 * The backend over HTTP. Every failure is an `ApiError`, or the `AbortError` of a cancelled request.
 *
 * @typedef {Record<string, unknown> & {id: number | string}} Item columns of one picture
 * @typedef {Item & {similarity: number}} Hit
 * @typedef {{base: string, index: string, urlColumn: string}} Config
 *
 * @typedef {object} Request the body of /knn-service, by the names of the wire
 * @property {string} [text]
 * @property {string} [image] base64
 * @property {string} [image_url]
 * @property {number | string} [id]
 * @property {"image" | "text"} modality
 * @property {number} num_images
 * @property {number} num_result_ids
 * @property {string} [indice_name]
 * @property {boolean} deduplicate
 * @property {boolean} use_mclip
 */

import { askForKey, keyHeaders } from "./key.js";

export class ApiError extends Error {
  /**
   * @param {"away" | "refused" | "failed" | "unreadable"} kind no answer; a 4xx; a 5xx; not what we asked for
   * @param {string} message
   * @param {string[]} details
   */
  constructor(kind, message, details = []) {
    super(message);
    this.kind = kind;
    this.details = details;
  }
}

/** @param {string} base @param {string} path */
export function join(base, path) {
  return `${base.replace(/\/+$/, "")}/${path.replace(/^\/+/, "")}`;
}

/** Ids beyond exact numbers stay strings. @param {number | string} id */
export function wireId(id) {
  return /^\d+$/.test(String(id)) && Number.isSafeInteger(Number(id)) ? Number(id) : id;
}

/** @param {string} back a backend named in the address bar, or "" */
export function createApi(back) {
  /** @type {Promise<Config> | undefined} */
  let configured;
  const config = () => (configured ??= loadConfig(back));

  /**
   * @param {string} path
   * @param {AbortSignal | undefined} signal
   * @param {object} [body]
   * @returns {Promise<unknown>}
   */
  async function call(path, signal, body) {
    const { base } = await config();
    // A plain-text body spares a cross-origin request its preflight; the server parses JSON all the same.
    const ours = new URL(base).origin === location.origin;
    const type = ours ? "application/json" : "text/plain;charset=UTF-8";
    const options = body && { method: "POST", body: JSON.stringify(body) };
    const headers = () => ({ ...(body && { "Content-Type": type }), ...(ours && keyHeaders()) });
    const send = () => fetch(join(base, path), { ...options, headers: headers(), signal });
    /** @type {Response} */
    let response;
    try {
      response = await send();
      // A backend that a link names is not asked for a key: it could be anybody's.
      while (ours && response.status === 401 && (await askForKey())) response = await send();
    } catch (error) {
      signal?.throwIfAborted();
      throw new ApiError("away", `No answer from ${base}`);
    }
    return readAnswer(response, signal);
  }

  return {
    config,
    /** @param {AbortSignal} [signal] @returns {Promise<string[]>} */
    async indices(signal) {
      return asList(await call("indices-list", signal)).map(String);
    },
    /** @param {Request} request @param {AbortSignal} [signal] @returns {Promise<Hit[]>} */
    async search(request, signal) {
      const answer = await call("knn-service", signal, { ...request, images: "link" });
      return /** @type {Hit[]} */ (asList(answer));
    },
    /**
     * The columns of each id, in order; null where the server knows none.
     * @param {(number | string)[]} ids
     * @param {string} index
     * @param {AbortSignal} [signal]
     * @returns {Promise<(Record<string, unknown> | null)[]>}
     */
    async metadata(ids, index, signal) {
      const body = { ids: ids.map(wireId), ...(index && { indice_name: index }), images: "link" };
      const rows = /** @type {Item[]} */ (asList(await call("metadata", signal, body)));
      const byId = new Map(rows.map((row) => [String(row.id), row.metadata]));
      return ids.map((id) => /** @type {Record<string, unknown>} */ (byId.get(String(id)) ?? null));
    },
  };
}

/** @typedef {ReturnType<typeof createApi>} Api */

/**
 * The page's own config.json names the backend, unless the address bar does: then that backend's own
 * config.json holds. A static host may have none.
 * @param {string} back
 * @returns {Promise<Config>}
 */
async function loadConfig(back) {
  const home = new URL(".", location.href).href;
  const asked = back && URL.canParse(back, home) ? new URL(back, home).href : "";
  /** @type {Record<string, unknown>} */
  let found = {};
  try {
    const response = await fetch(join(asked || home, "config.json"));
    if (response.ok) found = (await response.json()) ?? {};
  } catch {
    // No settings: the usual ones hold. A backend that is away shows on the first real call.
  }
  const named = asked || String(found.defaultBackend || "");
  return {
    base: named && URL.canParse(named, home) ? new URL(named, home).href : home,
    index: String(found.defaultIndex || ""),
    urlColumn: String(found.urlColumn || "url"),
  };
}

/** @param {Response} response @param {AbortSignal | undefined} signal */
async function readAnswer(response, signal) {
  /** @type {any} */
  let data = null;
  try {
    data = await response.json();
  } catch {
    signal?.throwIfAborted();
  }
  if (response.ok && data !== null) return data;
  const fields = Array.isArray(data?.errors) ? data.errors : [];
  const details = fields.map((/** @type {any} */ e) => `${e.field}: ${e.message}`);
  const message = String(data?.message ?? `The server answered ${response.status} ${response.statusText}`.trim());
  if (response.ok) throw new ApiError("unreadable", "The answer is not JSON");
  throw new ApiError(response.status < 500 ? "refused" : "failed", message, details);
}

/** @param {unknown} data @returns {unknown[]} */
function asList(data) {
  if (Array.isArray(data)) return data;
  throw new ApiError("unreadable", String(Object(data).message ?? "The answer is not a list"));
}
