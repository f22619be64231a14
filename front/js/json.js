/**
 * JSON whose integers stay exact: those beyond 2^53 become strings of their digits, since a number
 * would be rounded to another id.
 */

const TEXT_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** @param {string} text @returns {any} raises `SyntaxError` */
export function parseExactly(text) {
  const exact = text.replace(TEXT_OR_NUMBER, (found) =>
    /^-?\d{16,}$/.test(found) && !Number.isSafeInteger(Number(found)) ? `"${found}"` : found,
  );
  return JSON.parse(exact);
}

/**
 * An id as the server reads it; one beyond exact numbers stays a string.
 * @param {number | string} id
 */
export function wireId(id) {
  return /^\d+$/.test(String(id)) && Number.isSafeInteger(Number(id)) ? Number(id) : id;
}
