/** The page of whoever runs the server: indices and their state, and charts of what it does. */

import { ApiError } from "../js/api.js";
import { byId, make } from "../js/dom.js";
import { speak, spoken, t } from "../js/language.js";
import { mountTheme } from "../js/theme.js";
import { createChart } from "./chart.js";
import { inDays } from "./format.js";
import { drawIndex } from "./indices.js";
import { gaugesOf, measures } from "./measures.js";
import { parse } from "./prometheus.js";
import { createRates } from "./rates.js";
import { createServer } from "./server.js";

const EVERY_MS = 3000;
const SHOWN_S = 300;
/** Differences that a rate is taken over: few enough to follow, enough to be smooth. */
const STEPS = 5;
/** Indices change seldom; they are asked for again with every so many looks, and when readiness changes. */
const LOOKS = 10;

await speak();
mountTheme();

const read = createServer();
const rates = createRates(STEPS);
const charts = measures().map((measure) => ({ measure, chart: createChart(measure), points: /** @type {import("./chart.js").Point[]} */ ([]) }));
const notice = byId("notice", HTMLElement);
byId("charts", HTMLElement).append(...charts.map(({ chart }) => chart.root));
document.title = `${t("Status of the server")} · search_back`;

/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
let isLooking = false;
let looks = 0;
let readiness = "";
let lastLook = 0;

document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : look()));
byId("again", HTMLButtonElement).addEventListener("click", look);
look();

async function look() {
  clearTimeout(timer);
  if (isLooking) return;
  isLooking = true;
  let isRefused = false;
  try {
    const [ready, metrics] = await Promise.all([read("ready", [200, 503]), read("metrics")]);
    const samples = parse(metrics);
    if (ready !== readiness || looks % LOOKS === 0) drawIndices(JSON.parse(await read("v1/indices")), samples);
    readiness = ready;
    looks += 1;
    drawState(JSON.parse(ready), samples);
    drawCharts(samples);
    tell(null);
  } catch (error) {
    rates.forget();
    readiness = "";
    isRefused = error instanceof ApiError && error.kind === "refused";
    tell(error);
  } finally {
    isLooking = false;
    document.body.classList.add("told");
  }
  // Who is refused would be asked for a key again and again.
  if (!document.hidden && !isRefused) timer = setTimeout(look, EVERY_MS);
}

/** @param {import("./prometheus.js").Sample[]} samples */
function drawCharts(samples) {
  const now = Date.now() / 1000;
  // While the page was out of sight nobody looked.
  if (now - lastLook > 4 * (EVERY_MS / 1000)) rates.forget();
  lastLook = now;
  rates.add(now, samples);
  for (const one of charts) {
    const values = one.measure.values({ rates, gauge: gaugesOf(samples) });
    one.points = [...one.points.filter(({ at }) => now - at <= SHOWN_S), { at: now, values: values.map(({ value }) => value) }];
    one.chart.draw(values.map(({ label }) => label), one.points);
  }
}

/** @param {{ready: boolean, warm: boolean}} ready @param {import("./prometheus.js").Sample[]} samples */
function drawState(ready, samples) {
  const gauge = gaugesOf(samples);
  const started = gauge("process_start_time_seconds");
  const build = samples.find(({ name }) => name === "search_back_build_info")?.labels;
  const state = ready.ready ? t("ready") : ready.warm ? t("an index does not answer") : t("encoders are not loaded yet, or an index does not answer");
  const badge = byId("state", HTMLElement);
  badge.dataset.state = ready.ready ? "ready" : "limited";
  if (badge.textContent !== state) badge.textContent = state;
  const facts = [
    started !== null && [t("Up for"), inDays(Date.now() / 1000 - started)],
    [t("Processes"), String(gauge("search_back_workers") ?? "–")],
    build && [t("Version"), build.version ?? ""],
    build && ["Python", build.python ?? ""],
    build && ["faiss", build.faiss ?? ""],
    [t("Looked at"), new Date().toLocaleTimeString(spoken())],
  ];
  byId("facts", HTMLElement).replaceChildren(
    ...facts.flatMap((fact) => (fact ? [make("div", {}, make("dt", {}, fact[0] ?? ""), make("dd", {}, fact[1] ?? ""))] : [])),
  );
}

/** @param {import("./indices.js").Index[]} indices @param {import("./prometheus.js").Sample[]} samples */
function drawIndices(indices, samples) {
  const bytes = (/** @type {string} */ index) =>
    samples.find(({ name, labels }) => name === "search_back_index_bytes" && labels.index === index)?.value ?? null;
  byId("indices", HTMLElement).replaceChildren(...indices.map((index) => drawIndex(index, bytes(index.name))));
}

/** @param {unknown} error null: all is well */
function tell(error) {
  notice.hidden = error === null;
  if (error === null) return;
  const isAway = error instanceof ApiError && error.kind === "away";
  const title = isAway ? t("The search server is away") : t("The server does not tell its state");
  const text = error instanceof Error ? error.message : String(error);
  const shown = `${title}: ${text}`;
  const line = byId("notice-text", HTMLElement);
  if (line.textContent !== shown) line.textContent = shown;
  const state = byId("state", HTMLElement);
  state.dataset.state = "unavailable";
  state.textContent = isAway ? t("does not answer") : t("unknown");
}
