/** One section for each column: values, a span, or words to look for, by what the column holds. */

import { make } from "../js/dom.js";
import { elementKind, kindOf } from "./columns.js";
import { drawSpan } from "./span.js";
import { drawContains, drawNone, drawValues } from "./values.js";

/** @typedef {import("./expression.js").Clause} Clause */

/** Of so few results a list of values says little; below this share, values are mostly different. */
const SHARED = 0.5;
const OPEN_AT_FIRST = 2;

/**
 * @param {object} parts
 * @param {import("../js/api.js").IndexInfo} parts.info
 * @param {Record<string, import("../js/api.js").Facet>} parts.facets
 * @param {number} parts.total how many results were counted
 * @param {Clause[]} parts.clauses
 * @param {Set<string>} parts.whole columns whose values are all shown
 * @param {Map<string, boolean>} parts.opened
 * @param {(column: string, clause: Clause | null) => void} parts.onClause
 * @param {(column: string) => void} parts.onWhole
 */
export function drawSections({ info, facets, total, clauses, whole, opened, onClause, onWhole }) {
  const drawn = info.columns.flatMap(({ name, type }) => {
    const facet = facets[name];
    const clause = clauses.find(({ column }) => column === name);
    const body = facet && drawBody({ name, type, facet, clause });
    return body ? [{ name, clause, ...body, none: none(name, facet, clause) }] : [];
  });
  drawn.sort((a, b) => a.rank - b.rank);
  return drawn.map(({ name, clause, body, none }, i) => {
    const details = make("details", { class: "facet" }, make("summary", { "data-key": `${name} section` }, name), body, none);
    details.open = opened.get(name) ?? (Boolean(clause) || i < OPEN_AT_FIRST);
    details.classList.toggle("active", Boolean(clause));
    details.addEventListener("toggle", () => opened.set(name, details.open));
    return details;
  });

  /**
   * What lacks a value, where some of the results do and others do not.
   * @param {string} name
   * @param {import("../js/api.js").Facet | undefined} facet
   * @param {Clause | undefined} clause
   */
  function none(name, facet, clause) {
    const isChosen = clause?.kind === "null";
    const count = Array.isArray(facet) ? (facet.find(({ value }) => value === null)?.count ?? 0) : (facet?.nulls ?? 0);
    if (!count && !isChosen) return null;
    return drawNone(name, count, isChosen, (chosen) => onClause(name, chosen ? { kind: "null", column: name, values: [] } : null));
  }

  /** @param {{name: string, type: string, facet: import("../js/api.js").Facet, clause: Clause | undefined}} of */
  function drawBody({ name, type, facet, clause }) {
    const kind = kindOf(type);
    /** @param {"values" | "has"} as */
    const onValues = (as) => (/** @type {string[]} */ values) => onClause(name, values.length ? { kind: as, column: name, values } : null);
    if (!Array.isArray(facet)) {
      // Of none or one there is no span: but what was chosen stays to be let go.
      if (facet.least === null || facet.edges.length < 3) return clause ? { rank: 1, body: null } : null;
      const ends = clause?.kind === "range" ? clause : {};
      const onChange = (/** @type {import("./span.js").Ends | null} */ next) =>
        onClause(name, next && { kind: "range", column: name, values: [], ...next });
      const isTime = elementKind(type) === "time";
      return { rank: 1, body: drawSpan({ column: name, facet, isTime, isDay: /^date/.test(type), ends, onChange }) };
    }
    const as = kind === "list" ? "has" : "values";
    const told = facet.filter(({ value }) => value !== null);
    if (kind === "text" && !isShared(told)) {
      const chosen = clause?.kind === "has" ? clause.values : [];
      return { rank: 3, body: drawContains(name, chosen, onValues("has")) };
    }
    // One value that all have is nothing to choose from.
    if (facet.length < 2 && !clause) return null;
    const chosen = clause?.kind === as ? clause.values : [];
    const body = drawValues({
      column: name, facet, chosen, isWhole: whole.has(name), onChange: onValues(as), onWhole: () => onWhole(name),
    });
    return { rank: kind === "list" ? 2 : 0, body };
  }

  /**
   * Whether the commonest values stand for enough of the results.
   * @param {import("../js/api.js").FacetValue[]} values
   */
  function isShared(values) {
    const sum = values.reduce((all, { count }) => all + count, 0);
    return values.length < 20 ? values.some(({ count }) => count > 1) || values.length < 8 : sum >= SHARED * total;
  }
}
