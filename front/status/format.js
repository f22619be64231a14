/**
 * Numbers for people, in their language.
 *
 * @typedef {"/s" | "s" | "%" | "B" | ""} Unit
 */

import { spoken } from "../js/language.js";

const BYTES = ["B", "kB", "MB", "GB", "TB"];

/** @param {number} value */
export function digits(value) {
  const near = Math.abs(value) >= 100 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 3 };
  return value.toLocaleString(spoken(), near);
}

/** @param {number | null} value @param {Unit} unit */
export function inUnit(value, unit) {
  if (value === null) return "–";
  if (unit === "s") return value < 1 ? `${digits(value * 1e3)} ms` : `${digits(value)} s`;
  if (unit === "B") return inBytes(value);
  if (unit === "%") return `${digits(value)} %`;
  return unit === "/s" ? `${digits(value)} /s` : digits(value);
}

/** @param {number} value */
export function inBytes(value) {
  const power = Math.min(BYTES.length - 1, Math.max(0, Math.floor(Math.log10(value || 1) / 3)));
  return `${digits(value / 1000 ** power)} ${BYTES[power]}`;
}

/**
 * A span of time in its largest units: 3 d 4 h.
 * @param {number} seconds
 */
export function inDays(seconds) {
  const [d, h, m] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
  if (d) return `${d} d ${h} h`;
  return h ? `${h} h ${m} min` : `${m} min`;
}
