/**
 * A value with listeners. Changes go in through `set`, every view is drawn from what comes out.
 *
 * @template T
 * @typedef {object} Store
 * @property {() => T} get
 * @property {(patch: Partial<T>) => void} set
 * @property {(listener: (now: T, before: T) => void) => void} subscribe
 */

/**
 * @template {object} T
 * @param {T} initial
 * @returns {Store<T>}
 */
export function createStore(initial) {
  let value = initial;
  /** @type {((now: T, before: T) => void)[]} */
  const listeners = [];
  return {
    get: () => value,
    set(patch) {
      const before = value;
      value = { ...value, ...patch };
      for (const listener of listeners) listener(value, before);
    },
    subscribe: (listener) => void listeners.push(listener),
  };
}
