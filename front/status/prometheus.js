/**
 * Prometheus' text format, read: https://prometheus.io/docs/instrumenting/exposition_formats
 *
 * @typedef {Record<string, string>} Labels
 * @typedef {{name: string, labels: Labels, value: number}} Sample
 */

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?$/;
const LABEL = /\s*([a-zA-Z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)/gy;
const ESCAPES = /** @type {Record<string, string>} */ ({ n: "\n" });

/**
 * The samples of a text; lines that are none are passed over.
 * @param {string} text
 * @returns {Sample[]}
 */
export function parse(text) {
  return text.split("\n").flatMap((line) => {
    const [, name, written = "", value] = SAMPLE.exec(line.trim()) ?? [];
    const labels = readLabels(written);
    return name && value && labels ? [{ name, labels, value: numberOf(value) }] : [];
  });
}

/** @param {string} text @returns {Labels | null} null where something else stands among them */
function readLabels(text) {
  const found = Array.from(text.matchAll(LABEL));
  if (found.reduce((read, [whole]) => read + whole.length, 0) < text.trimEnd().length) return null;
  const pairs = found.map(([, name = "", value = ""]) => [name, value.replace(/\\(.)/g, (_, escaped) => ESCAPES[escaped] ?? escaped)]);
  return Object.fromEntries(pairs);
}

/** @param {string} text */
function numberOf(text) {
  const infinity = /^([+-]?)inf(?:inity)?$/i.exec(text);
  if (infinity) return infinity[1] === "-" ? -Infinity : Infinity;
  return Number(text);
}
