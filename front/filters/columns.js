/**
 * What can be asked of a column, by the name of its Arrow type.
 *
 * @typedef {"text" | "number" | "time" | "truth" | "list" | "other"} Kind
 */

/** @type {[RegExp, Kind][]} */
const KINDS = [
  [/^(large_|fixed_size_)?list/, "list"],
  [/^dictionary<values=(large_)?string/, "text"],
  [/^(large_)?string/, "text"],
  [/^(u?int|float|half|double|decimal)/, "number"],
  [/^(timestamp|date)/, "time"],
  [/^bool/, "truth"],
];

/** @param {string} type @returns {Kind} */
export function kindOf(type) {
  return KINDS.find(([pattern]) => pattern.test(type))?.[1] ?? "other";
}

/**
 * What the elements of a list are; of another column, what it is itself.
 * @param {string} type
 * @returns {Kind}
 */
export function elementKind(type) {
  const inner = /^(?:large_|fixed_size_)?list<[^:]*: ?([^>]*)/.exec(type)?.[1];
  return kindOf(inner ?? type);
}
