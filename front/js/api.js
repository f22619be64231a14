/**
 * The backend over HTTP: the one module that fetches. Every failure is an `ApiError`, or the `AbortError`
 * of a cancelled request. A backend without /v1 is clip-retrieval's: it searches for one thing at a time.
 *
 * @typedef {Record<string, unknown>} Columns the metadata of one picture
 * @typedef {{base: string, index: string, urlColumn: string}} Config
 * @typedef {{name: string, type: string, returned: boolean}} Column
 *
 * @typedef {object} IndexInfo what a backend with /v1 tells about an index; an older one tells its name only
 * @property {string} name
 * @property {Column[]} columns
 * @property {string[]} wishes the optional models that there are
 *
 * @typedef {{modern: boolean, indices: IndexInfo[]}} Offer
 *
 * @typedef {object} Hit
 * @property {string} id
 * @property {number} similarity
 * @property {Columns} metadata
 * @property {string} [image] base64
 * @property {string} [thumbnail_url]
 * @property {string} [picture_url]
 * @property {string} [placeholder] base64: the pixels of a BMP of 4 × 4
 */

import { parseExactly, wireId } from "./json.js";
import { askForKey, keyHeaders } from "./key.js";
import { t } from "./language.js";

export class ApiError extends Error {
  /**
   * @param {"away" | "refused" | "failed" | "unreadable"} kind no answer; a 4xx; a 5xx; not what we asked for
   * @param {string} message
   * @param {string[]} details
   * @param {number} status of HTTP; 0 where there is none
   */
  constructor(kind, message, details = [], status = 0) {
    super(message);
    this.kind = kind;
    this.details = details;
    this.status = status;
  }
}

/** @param {string} base @param {string} path */
export function join(base, path) {
  return `${base.replace(/\/+$/, "")}/${path.replace(/^\/+/, "")}`;
}

/**
 * Can an address be made of it? `URL.canParse` is younger than the browsers that the page runs in.
 * @param {string} text
 * @param {string} [base]
 */
export function canParse(text, base) {
  try {
    return Boolean(new URL(text, base));
  } catch {
    return false;
  }
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
      throw new ApiError("away", t("No answer from {base}", { base }));
    }
    return readAnswer(response, signal);
  }

  /** @type {Promise<Offer> | undefined} */
  let offered;
  /**
   * What there is to search; asked once, and again after a failure.
   * @returns {Promise<Offer>}
   */
  const offer = () =>
    (offered ??= loadOffer(call).catch((error) => {
      offered = undefined;
      throw error;
    }));

  return {
    config,
    offer,
    /** @param {object} body @param {AbortSignal} [signal] @returns {Promise<Answer>} */
    async search(body, signal) {
      const answer = Object(await call("v1/search", signal, body));
      if (!Array.isArray(answer.hits)) throw new ApiError("unreadable", t("The answer holds no hits"));
      const hits = answer.hits.map((/** @type {any} */ hit) => ({ ...hit, id: String(hit.id), metadata: hit.metadata ?? {} }));
      return { hits, cursor: answer.cursor ?? null, facets: answer.facets ?? {} };
    },
    /**
     * Items on a map.
     * @param {object} body
     * @param {AbortSignal} [signal]
     * @returns {Promise<MapAnswer>}
     */
    async map(body, signal) {
      const answer = Object(await call("v1/map", signal, body));
      if (!Array.isArray(answer.ids)) throw new ApiError("unreadable", t("The answer holds no points"));
      return { ...answer, ids: answer.ids.map(String) };
    },
    /**
     * The route of clip-retrieval: everything found at once.
     * @param {object} body
     * @param {AbortSignal} [signal]
     */
    async knn(body, signal) {
      const answer = await call("knn-service", signal, { ...body, images: "link" });
      return asList(answer).map((hit) => hitOf(Object(hit)));
    },
    /**
     * The columns of each id, in order; null where the server knows none.
     * @param {string[]} ids
     * @param {string} index
     * @param {AbortSignal} [signal]
     * @returns {Promise<(Columns | null)[]>}
     */
    async metadata(ids, index, signal) {
      const body = { ids: ids.map(wireId), ...(index && { indice_name: index }), images: "link" };
      const rows = /** @type {any[]} */ (asList(await call("metadata", signal, body)));
      const byId = new Map(rows.map((row) => [String(row.id), row.metadata]));
      return ids.map((id) => byId.get(id) ?? null);
    },
    /**
     * A whole picture, for what is done with it here.
     * @param {string} address
     * @returns {Promise<Blob>}
     */
    async picture(address) {
      try {
        const response = await fetch(address);
        if (response.ok) return await response.blob();
      } catch {
        // Told below, as every other failure is.
      }
      throw new ApiError("away", t("The picture cannot be had from {address}", { address }));
    },
  };
}

/**
 * @typedef {object} Answer
 * @property {Hit[]} hits
 * @property {string | null} cursor where the next page begins
 * @property {Record<string, Facet>} facets
 *
 * @typedef {{value: string | number | boolean | null, count: number}} FacetValue
 * @typedef {{least: string | number | null, greatest: string | number | null, edges: (string | number)[], counts: number[], nulls: number}} FacetRange
 * @typedef {FacetValue[] | FacetRange} Facet
 */

/**
 * @typedef {{x: number, y: number, size: number, words: string[]}} Cluster
 *
 * @typedef {object} MapAnswer one list a column: `ids[i]` lies at `x[i]`, `y[i]`, in `clusters[cluster[i]]`
 * @property {string[]} ids
 * @property {number[]} x 0 to 1
 * @property {number[]} y
 * @property {number[]} cluster
 * @property {Cluster[]} clusters
 * @property {"pca" | "tsne"} method
 * @property {number} total how many items the index has
 */

/** @typedef {ReturnType<typeof createApi>} Api */

/**
 * The page's own config.json names the backend, unless the address bar does: then that backend's own
 * config.json holds. A static host may have none.
 * @param {string} back
 * @returns {Promise<Config>}
 */
async function loadConfig(back) {
  const home = new URL(".", location.href).href;
  const asked = back && canParse(back, home) ? new URL(back, home).href : "";
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
    base: named && canParse(named, home) ? new URL(named, home).href : home,
    index: String(found.defaultIndex || ""),
    urlColumn: String(found.urlColumn || "url"),
  };
}

/**
 * A row of /knn-service or /metadata: the columns, merged with what belongs to the picture.
 * @param {Columns} row
 * @returns {Hit}
 */
export function hitOf({ id, similarity, image, thumbnail_url, picture_url, ...metadata }) {
  /** @param {unknown} value */
  const text = (value) => (typeof value === "string" && value ? value : undefined);
  return {
    id: String(id),
    similarity: Number(similarity),
    metadata,
    image: text(image),
    thumbnail_url: text(thumbnail_url),
    picture_url: text(picture_url),
  };
}

/** @param {(path: string, signal?: AbortSignal) => Promise<unknown>} call @returns {Promise<Offer>} */
async function loadOffer(call) {
  try {
    const indices = /** @type {any[]} */ (asList(await call("v1/indices")));
    return {
      modern: true,
      indices: indices.map(({ name, columns, wishes }) => ({ name, columns: columns ?? [], wishes: wishes ?? [] })),
    };
  } catch (error) {
    const isOld = error instanceof ApiError && (error.status === 404 || error.kind === "unreadable");
    if (!isOld) throw error;
  }
  const names = asList(await call("indices-list"));
  return { modern: false, indices: names.map((name) => ({ name: String(name), columns: [], wishes: [] })) };
}

/** @param {Response} response @param {AbortSignal | undefined} signal */
async function readAnswer(response, signal) {
  /** @type {any} */
  let data = null;
  try {
    data = parseExactly(await response.text());
  } catch {
    signal?.throwIfAborted();
  }
  if (response.ok && data !== null) return data;
  const fields = Array.isArray(data?.errors) ? data.errors : [];
  const details = fields.map((/** @type {any} */ e) => `${e.field}: ${e.message}`);
  const message = String(data?.message ?? t("The server answered {status}", { status: `${response.status} ${response.statusText}`.trim() }));
  if (response.ok) throw new ApiError("unreadable", t("The answer is not JSON"));
  throw new ApiError(response.status < 500 ? "refused" : "failed", message, details, response.status);
}

/** @param {unknown} data @returns {unknown[]} */
function asList(data) {
  if (Array.isArray(data)) return data;
  throw new ApiError("unreadable", String(Object(data).message ?? t("The answer is not a list")));
}
