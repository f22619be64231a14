/**
 * Several terms with weights in one line: `2:golden retriever + #543 - leash`. The rules are those of the
 * server and the Python client; a table of examples holds for all of them.
 *
 * Terms stand between signs: a `+` or `-` with a blank or an end of the line on both sides. A term is
 * words, `#543`, an address, a path (`./pool.jpg`), or `"words as they stand"`, each with an optional
 * weight and colon straight before it.
 *
 * @typedef {{kind: "text" | "path" | "url" | "id", value: string, weight: number}} Part
 */

export const MOST = 1000;
const MOST_ID = 2n ** 63n - 1n;

// What Python calls blank, which is not quite JavaScript's \s.
const BLANK = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const SIGN = new RegExp(`(?<![^${BLANK}])[+-](?![^${BLANK}])`, "uy");
const NEXT_SIGN = new RegExp(SIGN.source, "ug");
const BLANKS = new RegExp(`[${BLANK}]*`, "uy");
const WEIGHT = new RegExp(`([0-9]+(?:\\.[0-9]*)?|\\.[0-9]+):(?=[^${BLANK}\\p{Nd}])`, "uy");
const QUOTED = /(path:)?"((?:[^"]|"")*)"(?!")/iuy;
const OPENING = /(?:path:)?"/iuy;
const STOP = new RegExp(`[${BLANK}]+[+-](?![^${BLANK}])|[${BLANK}]*$`, "uy");
const ID = /^(?:#|id:)([0-9]+)$/iu;
const URL_LIKE = new RegExp(`^https?://[^${BLANK}]+$`, "iu");
const PATH =
  /^(?:\.{1,2}\/|\/|~\/|[a-z]:[/\\]).*\.(?:jpe?g|jfif|png|webp|gif|bmp|tiff?|avif|hei[cf]|svg)$/isu;
const EDGES = new RegExp(`^[${BLANK}]+|[${BLANK}]+$`, "ug");

/** Why a line cannot be read, by the place in it. */
export class BadLine extends Error {
  /** @param {string} reason @param {string} text @param {number} at in UTF-16 units, from 0 */
  constructor(reason, text, at) {
    super(reason);
    /** Of which character, from 1. */
    this.position = [...text.slice(0, at)].length + 1;
  }
}

/**
 * The parts of a line, one at least. Raises `BadLine`.
 * @param {string} text
 * @returns {Part[]}
 */
export function parseLine(text) {
  const parts = [];
  let sign = 1;
  let start = skip(text, 0);
  if (start === text.length) throw new BadLine("the query is empty", text, 0);
  const leading = match(SIGN, text, start);
  if (leading) [sign, start] = [leading[0] === "-" ? -1 : 1, skip(text, start + 1)];
  for (;;) {
    const [stop, part] = readTerm(text, start, sign);
    parts.push(part);
    const at = skip(text, stop);
    const following = match(SIGN, text, at);
    if (!following) return parts;
    [sign, start] = [following[0] === "-" ? -1 : 1, skip(text, at + 1)];
  }
}

/**
 * The line that `parseLine` reads as these parts; null where no line can tell them.
 * @param {Part[]} parts
 */
export function formatLine(parts) {
  let line = "";
  for (const part of parts) {
    const minus = part.weight < 0;
    const written = write({ ...part, weight: Math.abs(part.weight) });
    if (written === null) return null;
    if (line) line += minus ? " - " : " + ";
    else if (minus) line = "- ";
    line += written;
  }
  return line;
}

/** @param {string} text @param {number} start @param {number} sign @returns {[number, Part]} */
function readTerm(text, start, sign) {
  let here = start;
  let weight = 1;
  const weighed = match(WEIGHT, text, start);
  if (weighed) {
    weight = Number(weighed[1]);
    here += weighed[0].length;
    if (weight > MOST) throw new BadLine("a weight is above 1000", text, start);
  }
  weight = sign * weight || 0;
  const quoted = match(QUOTED, text, here);
  if (!quoted && match(OPENING, text, here)) throw new BadLine("a quote is not closed", text, here);
  if (quoted && match(STOP, text, here + quoted[0].length)) {
    const value = (quoted[2] ?? "").replaceAll('""', '"');
    if (!trim(value)) throw new BadLine("the quotes are empty", text, here);
    return [here + quoted[0].length, { kind: quoted[1] ? "path" : "text", value, weight }];
  }
  NEXT_SIGN.lastIndex = quoted ? here + quoted[0].length : here;
  const stop = NEXT_SIGN.exec(text)?.index ?? text.length;
  const value = trim(text.slice(here, stop));
  if (!value) throw new BadLine("a term is missing", text, start);
  return [stop, { ...kindOf(value, text, here), weight }];
}

/** @param {string} value @param {string} text @param {number} here @returns {Pick<Part, "kind" | "value">} */
function kindOf(value, text, here) {
  const digits = ID.exec(value)?.[1];
  if (digits) {
    if (BigInt(digits) > MOST_ID) throw new BadLine("no item has so large an id", text, here);
    return { kind: "id", value: digits };
  }
  if (URL_LIKE.test(value)) return { kind: "url", value };
  return { kind: PATH.test(value) ? "path" : "text", value };
}

/**
 * One part of a weight not below 0: as it stands where that is read as this part, or quoted.
 * @param {Part} part
 */
function write({ kind, value, weight }) {
  const before = weight === 1 ? "" : `${decimal(weight)}:`;
  const quoted = `"${value.replaceAll('"', '""')}"`;
  const ways = { text: [value, quoted], path: [value, `path:${quoted}`], url: [value], id: [`#${value}`] };
  return ways[kind].map((way) => before + way).find((way) => isReadAs(way, { kind, value, weight })) ?? null;
}

/** @param {string} way @param {Part} part */
function isReadAs(way, part) {
  try {
    const [first, ...more] = parseLine(way);
    return !more.length && first?.kind === part.kind && first.value === part.value && first.weight === part.weight;
  } catch {
    return false;
  }
}

/**
 * Without an exponent, which no weight has.
 * @param {number} number
 */
function decimal(number) {
  const text = String(number);
  return text.includes("e") ? number.toFixed(20).replace(/\.?0+$/, "") : text;
}

/** @param {RegExp} sticky @param {string} text @param {number} at */
function match(sticky, text, at) {
  sticky.lastIndex = at;
  return sticky.exec(text);
}

/**
 * Where the blanks at a place end.
 * @param {string} text
 * @param {number} at
 */
function skip(text, at) {
  return at + (match(BLANKS, text, at)?.[0].length ?? 0);
}

/** @param {string} text */
function trim(text) {
  return text.replace(EDGES, "");
}
