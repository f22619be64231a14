/** The points of a map as a row of results, for the large view to lead through: those known by now. */

const AHEAD = 40;

/** @param {import("./data.js").Plan} plan @returns {Pick<ReturnType<typeof import("../js/search.js").createSearch>, "get" | "more">} */
export function shelfOf({ ids, items }) {
  const known = () => ids.flatMap((id) => items.get(id) ?? []);
  const unknown = () => ids.filter((id) => !items.get(id));
  return {
    get: () => ({
      status: "ready",
      answer: ids,
      results: known(),
      rest: unknown().length ? {} : null,
      found: ids.length,
      broken: new Set(),
      error: null,
      more: "idle",
      moreError: null,
    }),
    more: () => items.load(unknown().slice(0, AHEAD)),
  };
}
