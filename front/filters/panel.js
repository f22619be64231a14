/**
 * The panel beside the results: what they have in common, and which of them to see. Its controls write the
 * filter expression, and are drawn from it; it may be edited by hand as well.
 */

import { byId, icon, make, withStyles } from "../js/dom.js";
import { t } from "../js/language.js";
import { inWords } from "../js/messages.js";
import { kindOf } from "./columns.js";
import { readFilter, withClause } from "./expression.js";
import { overview } from "./overview.js";
import { drawSections } from "./sections.js";
import { drawCutOff, drawDiversity } from "./similarity.js";

/** @typedef {import("../js/on-demand.js").Parts} Parts */

const panel = byId("filters", HTMLElement);
const toggle = byId("filters-toggle", HTMLButtonElement);
/** @type {((isOpen: boolean) => void) | undefined} */
let mounted;

/** @param {Parts} parts */
export async function togglePanel(parts) {
  await withStyles("filters");
  mounted ??= mountPanel(parts);
  mounted(panel.hidden);
}

/**
 * Only the results that have this value.
 * @param {Parts} parts
 * @param {string} column
 * @param {unknown} value
 */
export async function keepOnly({ api, state }, column, value) {
  const info = await indexInfo(api, state.get());
  const types = new Map((info?.columns ?? []).map(({ name, type }) => [name, type]));
  const kind = /** @type {"null" | "values"} */ (value === null ? "null" : "values");
  const clause = { kind, column, values: value === null ? [] : [String(value)] };
  state.go({ filter: withClause(state.get().filter, types, column, clause), groupBy: "" });
}

/** @param {Parts} parts */
function mountPanel({ api, search, state }) {
  let running = new AbortController();
  const whole = /** @type {Set<string>} */ (new Set());
  const opened = /** @type {Map<string, boolean>} */ (new Map());
  let answer = {};
  search.subscribe((view) => {
    if (panel.hidden || view.status !== "ready" || view.answer === answer) return;
    answer = view.answer;
    refresh();
  });
  return (/** @type {boolean} */ isOpen) => {
    panel.hidden = !isOpen;
    document.body.classList.toggle("filtering", isOpen);
    toggle.setAttribute("aria-expanded", String(isOpen));
    if (isOpen) refresh().then(() => panel.querySelector("h2")?.focus());
    else toggle.focus();
  };

  async function refresh() {
    running.abort();
    const { signal } = (running = new AbortController());
    const now = state.get();
    panel.setAttribute("aria-busy", "true");
    try {
      const info = await indexInfo(api, now);
      if (!info) return;
      const seen = await overview(api, now, info, signal);
      signal.throwIfAborted();
      draw(info, seen);
    } catch (error) {
      if (!signal.aborted) panel.replaceChildren(header(), make("p", { class: "soft" }, inWords(error).text), editor());
    } finally {
      if (!signal.aborted) panel.removeAttribute("aria-busy");
    }
  }

  /** @param {import("../js/api.js").IndexInfo} info @param {import("./overview.js").Overview} seen */
  function draw(info, { similarities, facets }) {
    const { filter, threshold, diversity, groupBy } = state.get();
    const types = new Map(info.columns.map(({ name, type }) => [name, type]));
    const focused = document.activeElement?.getAttribute("data-key");
    const top = panel.scrollTop;
    panel.replaceChildren(
      header(),
      drawCutOff(similarities, threshold, (next) => state.go({ threshold: next })) ?? "",
      drawDiversity(diversity, (next) => state.go({ diversity: next })),
      grouping(info, groupBy),
      ...drawSections({
        info,
        facets,
        total: similarities.length,
        clauses: readFilter(filter, types),
        whole,
        opened,
        onClause: (column, clause) => state.go({ filter: withClause(state.get().filter, types, column, clause) }),
        onWhole: (column) => {
          whole.add(column);
          draw(info, { similarities, facets });
        },
      }),
      editor(),
    );
    panel.scrollTop = top;
    const again = focused && panel.querySelector(`[data-key="${CSS.escape(focused)}"]`);
    if (again instanceof HTMLElement) again.focus();
  }

  function header() {
    const close = make("button", { type: "button", class: "quiet", "aria-label": t("Close the filters") }, icon("close"));
    const clear = make("button", { type: "button", class: "link" }, t("Clear all"));
    const { filter, threshold, diversity, groupBy } = state.get();
    clear.hidden = !filter && threshold === null && !diversity && !groupBy;
    clear.addEventListener("click", () => state.go({ filter: "", threshold: null, diversity: 0, groupBy: "" }));
    close.addEventListener("click", () => mounted?.(false));
    return make("header", {}, make("h2", { tabindex: -1 }, t("Filters")), clear, close);
  }

  /** @param {import("../js/api.js").IndexInfo} info @param {string} chosen */
  function grouping(info, chosen) {
    const names = info.columns.filter(({ type }) => ["text", "number", "truth"].includes(kindOf(type))).map(({ name }) => name);
    const options = names.map((name) => make("option", { value: name }, name));
    const select = make("select", { "data-key": "group" }, make("option", { value: "" }, t("nothing")), ...options);
    select.value = chosen;
    select.addEventListener("change", () => state.go({ groupBy: select.value }));
    return make("label", { class: "row" }, make("span", {}, t("Group by")), select);
  }

  function editor() {
    const area = make("textarea", { rows: 3, spellcheck: "false", "data-key": "expression", placeholder: "width > 512 and caption contains 'dog'" });
    area.value = state.get().filter;
    const apply = make("button", { type: "button", class: "plain" }, t("Apply"));
    const go = () => area.value.trim() !== state.get().filter && state.go({ filter: area.value.trim() });
    apply.addEventListener("click", go);
    area.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey) return;
      event.preventDefault();
      go();
    });
    return make("div", { class: "expression" }, make("label", { class: "field" }, make("span", {}, t("Filter as an expression")), area), apply);
  }
}

/** @param {import("../js/api.js").Api} api @param {import("../js/url.js").State} state */
async function indexInfo(api, { index }) {
  const [{ indices }, config] = await Promise.all([api.offer(), api.config()]);
  const chosen = index || config.index;
  return indices.find(({ name }) => name === chosen) ?? indices[0];
}
