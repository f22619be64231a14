/**
 * What counters did lately. As Prometheus' `rate()` has it: a counter that is lower than before began
 * again at 0, since its server did.
 *
 * @typedef {import("./prometheus.js").Sample} Sample
 * @typedef {(labels: import("./prometheus.js").Labels) => boolean} Which
 * @typedef {{seconds: number, rises: {sample: Sample, by: number}[]}} Step
 */

/** @type {Which} */
const ALL = () => true;

/** @param {number} steps how many differences are looked back on */
export function createRates(steps) {
  /** @type {Map<string, number> | null} */
  let before = null;
  let at = 0;
  /** @type {Step[]} */
  let kept = [];

  /** @param {string} name @param {Which} which */
  const rises = (name, which) =>
    kept.flatMap((step) => step.rises.filter(({ sample }) => sample.name === name && which(sample.labels)));

  /**
   * By how much the counters of a name rose, all together.
   * @param {string} name
   * @param {Which} [which]
   */
  const increase = (name, which = ALL) => rises(name, which).reduce((sum, { by }) => sum + by, 0);

  const seconds = () => kept.reduce((sum, step) => sum + step.seconds, 0);

  return {
    increase,
    /** @param {number} now in seconds @param {Sample[]} samples */
    add(now, samples) {
      const values = new Map(samples.map((sample) => [keyOf(sample), sample.value]));
      if (before) kept = [...kept, { seconds: now - at, rises: risesOf(samples, before) }].slice(-steps);
      before = values;
      at = now;
    },
    /** After a gap nothing is known of what lies in it. */
    forget() {
      before = null;
      kept = [];
    },
    /**
     * Rises a second; null before there are two points in time.
     * @param {string} name
     * @param {Which} [which]
     */
    rate: (name, which = ALL) => (seconds() > 0 ? increase(name, which) / seconds() : null),
    /**
     * The value below which a share `q` of a histogram's latest observations lie, as
     * `histogram_quantile()` tells it; null where there were none.
     * @param {number} q
     * @param {string} name
     * @param {Which} [which]
     */
    quantile(q, name, which = ALL) {
      /** @type {Map<number, number>} */
      const buckets = new Map();
      for (const { sample, by } of rises(`${name}_bucket`, which)) {
        const bound = sample.labels.le === "+Inf" ? Infinity : Number(sample.labels.le);
        buckets.set(bound, (buckets.get(bound) ?? 0) + by);
      }
      return quantileOf(q, [...buckets].sort(([a], [b]) => a - b));
    },
  };
}

/** @param {Sample[]} samples @param {Map<string, number>} before */
function risesOf(samples, before) {
  return samples.map((sample) => {
    // One that is told for the first time had not been counted before.
    const last = before.get(keyOf(sample)) ?? 0;
    return { sample, by: sample.value < last ? sample.value : sample.value - last };
  });
}

/** @param {Sample} sample */
const keyOf = ({ name, labels }) => `${name} ${JSON.stringify(Object.entries(labels).sort())}`;

/**
 * Within the bucket it falls in, evenly spread; of the last one only its beginning is known.
 * @param {number} q
 * @param {[bound: number, count: number][]} buckets cumulative, by their upper bounds
 */
function quantileOf(q, buckets) {
  const total = buckets[buckets.length - 1]?.[1] ?? 0;
  if (!total) return null;
  let [least, below] = [0, 0];
  for (const [bound, count] of buckets) {
    if (count >= q * total) return bound === Infinity ? least : least + ((bound - least) * (q * total - below)) / (count - below);
    [least, below] = [bound, count];
  }
  return least;
}
