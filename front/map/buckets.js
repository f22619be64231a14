/** Points in square buckets, so that those of a place are found without looking at all of them. */

const PER_BUCKET = 3;

/** @param {Float32Array} xs 0 to 1 @param {Float32Array} ys */
export function createBuckets(xs, ys) {
  const side = Math.max(1, Math.ceil(Math.sqrt(xs.length / PER_BUCKET)));
  /** @param {number} value */
  const cell = (value) => Math.min(side - 1, Math.max(0, Math.floor(value * side)));
  const starts = new Uint32Array(side * side + 1);
  const bucketOf = Uint32Array.from(xs, (x, i) => cell(ys[i] ?? 0) * side + cell(x));
  for (const bucket of bucketOf) starts[bucket + 1]++;
  for (let i = 0; i < side * side; i++) starts[i + 1] += starts[i] ?? 0;
  const next = starts.slice();
  const points = new Uint32Array(xs.length);
  bucketOf.forEach((bucket, i) => (points[next[bucket]++] = i));

  return {
    /**
     * Calls `visit` with every point of a box, and some around it.
     * @param {import("./camera.js").Box} box
     * @param {(point: number) => void} visit
     */
    within({ left, top, right, bottom }, visit) {
      const [from, to] = [cell(left), cell(right)];
      for (let row = cell(top); row <= cell(bottom); row++) {
        const end = starts[row * side + to + 1] ?? 0;
        for (let i = starts[row * side + from] ?? 0; i < end; i++) visit(points[i] ?? 0);
      }
    },
  };
}

/** @typedef {ReturnType<typeof createBuckets>} Buckets */
