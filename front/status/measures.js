/**
 * What the charts show, from the server's metrics.
 *
 * @typedef {import("./prometheus.js").Sample} Sample
 * @typedef {{label: string, value: number | null}} Value
 * @typedef {object} Measure
 * @property {string} title
 * @property {string} [note]
 * @property {import("./format.js").Unit} unit
 * @property {(now: Now) => Value[]} values null: not known now
 * @typedef {{rates: ReturnType<typeof import("./rates.js").createRates>, gauge: (name: string) => number | null}} Now
 */

import { t } from "../js/language.js";

/** The requests of whoever watches the server, as this page does, say nothing about its use. */
const WATCHING = new Set(["/metrics", "/metrics-summary", "/ready", "/health", "/v1/indices"]);
const QUERY = "full_knn_request_time";

/** @returns {Measure[]} */
export const measures = () => [
  {
    title: t("Requests"),
    note: t("Without those that watch the server"),
    unit: "/s",
    values: ({ rates }) =>
      [
        { label: t("answered"), statuses: "123" },
        { label: t("refused"), statuses: "4" },
        { label: t("failed"), statuses: "5" },
      ].map(({ label, statuses }) => ({ label, value: requestsOf(rates, statuses) })),
  },
  {
    title: t("Time of a query"),
    unit: "s",
    values: ({ rates }) => [
      { label: t("half are faster"), value: rates.quantile(0.5, QUERY) },
      { label: t("95 % are faster"), value: rates.quantile(0.95, QUERY) },
    ],
  },
  {
    title: t("Found in a cache"),
    unit: "%",
    values: ({ rates }) => [
      { label: t("query embeddings"), value: shareOf(rates, "search_back_query_cache_total", () => true) },
      { label: t("next pages"), value: shareOf(rates, "search_back_cache_lookups_total", ({ cache }) => cache === "results") },
      { label: t("thumbnails"), value: shareOf(rates, "search_back_cache_lookups_total", ({ cache }) => cache === "thumbnails") },
    ],
  },
  {
    title: t("Errors"),
    unit: "/s",
    values: ({ rates }) => [
      { label: t("told in answers"), value: rates.rate("search_back_errors_total") },
      { label: t("turned away"), value: rates.rate("search_back_requests_refused_total") },
    ],
  },
  {
    title: t("In the queue"),
    unit: "",
    values: ({ gauge }) => [
      { label: t("requests that wait"), value: gauge("search_back_requests_waiting") },
      { label: t("open connections"), value: gauge("search_back_connections") },
    ],
  },
  {
    title: t("Time in queues"),
    note: t("95 % wait less"),
    unit: "s",
    values: ({ rates }) => [
      { label: t("for a thread"), value: rates.quantile(0.95, "search_back_request_wait_seconds") },
      { label: t("for the encoder"), value: rates.quantile(0.95, "search_back_encoder_queue_seconds") },
    ],
  },
  {
    title: t("Memory"),
    note: t("Of all processes; shared pages count in each"),
    unit: "B",
    values: ({ gauge }) => [{ label: t("resident"), value: gauge("process_resident_memory_bytes") }],
  },
  {
    title: t("Processor"),
    unit: "",
    values: ({ rates }) => [{ label: t("cores busy"), value: rates.rate("process_cpu_seconds_total") }],
  },
];

/** @param {Now["rates"]} rates @param {string} statuses their first digits */
function requestsOf(rates, statuses) {
  return rates.rate("search_back_requests_total", ({ route = "", status = "" }) => !WATCHING.has(route) && statuses.includes(status.charAt(0)));
}

/** @param {Now["rates"]} rates @param {string} name @param {import("./rates.js").Which} which */
function shareOf(rates, name, which) {
  const hits = rates.increase(name, (of) => which(of) && of.result === "hit");
  const all = rates.increase(name, which);
  return all > 0 ? (100 * hits) / all : null;
}

/**
 * The sum of the gauges of a name; null where there is none.
 * @param {Sample[]} samples
 */
export function gaugesOf(samples) {
  return (/** @type {string} */ name) => {
    const found = samples.filter((sample) => sample.name === name && !Number.isNaN(sample.value));
    return found.length ? found.reduce((sum, { value }) => sum + value, 0) : null;
  };
}
