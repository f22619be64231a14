/** Thumbnails, each drawn once into a small canvas; a bounded number of them is kept. */

const SIDE = 128;
const CORNER = 16;
const EDGE = 5;
const KEPT = 320;
const AT_ONCE = 8;

/** @typedef {HTMLCanvasElement | "coming" | "missing"} Sprite */

/** @param {() => void} onLoad */
export function createSprites(onLoad) {
  const side = Math.round(SIDE * Math.min(1.5, devicePixelRatio));
  /** @type {Map<string, Sprite>} oldest use first */
  const kept = new Map();
  /** @type {{key: string, src: string, colour: string}[]} */
  let queue = [];
  let coming = 0;

  function loadNext() {
    while (coming < AT_ONCE) {
      const next = queue.shift();
      if (!next) return;
      if (!kept.has(next.key)) load(next);
    }
  }

  /** @param {{key: string, src: string, colour: string}} wish */
  function load({ key, src, colour }) {
    coming += 1;
    kept.set(key, "coming");
    const image = new Image();
    const done = (/** @type {Sprite} */ sprite) => {
      coming -= 1;
      kept.set(key, sprite);
      for (const oldest of kept.keys()) {
        if (kept.size <= KEPT) break;
        if (kept.get(oldest) !== "coming") kept.delete(oldest);
      }
      onLoad();
      loadNext();
    };
    image.addEventListener("load", () => done(draw(image, side, colour)));
    image.addEventListener("error", () => done("missing"));
    image.src = src;
  }

  return {
    /** @param {string} src @param {string} colour @returns {Sprite | undefined} */
    get(src, colour) {
      const key = `${colour} ${src}`;
      const sprite = kept.get(key);
      if (sprite) {
        kept.delete(key);
        kept.set(key, sprite);
      }
      return sprite;
    },
    /**
     * These next, instead of those wanted before.
     * @param {{src: string, colour: string}[]} wishes
     */
    want(wishes) {
      queue = wishes.map(({ src, colour }) => ({ key: `${colour} ${src}`, src, colour }));
      loadNext();
    },
  };
}

/** @typedef {ReturnType<typeof createSprites>} Sprites */

/** As many as may be shown at once. */
export const ROOM = KEPT - 40;

/**
 * The middle square of a picture on white, with round corners and an edge in its cluster's colour.
 * @param {HTMLImageElement} image
 * @param {number} side
 * @param {string} colour
 */
function draw(image, side, colour) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side;
  const context = canvas.getContext("2d");
  if (!context) return "missing";
  const [corner, edge] = [(CORNER * side) / SIDE, (EDGE * side) / SIDE];
  context.fillStyle = colour;
  context.beginPath();
  context.roundRect(0, 0, side, side, corner);
  context.fill();
  context.beginPath();
  context.roundRect(edge, edge, side - 2 * edge, side - 2 * edge, corner - edge);
  context.clip();
  context.fillStyle = "#fff";
  context.fillRect(0, 0, side, side);
  const { naturalWidth: width, naturalHeight: height } = image;
  const isSmall = Math.max(width, height) <= 200;
  // A small picture is a drawing more often than not, and is shown whole.
  const inner = isSmall ? side * 0.78 : side - 2 * edge;
  const scale = isSmall ? inner / Math.max(width, height) : inner / Math.min(width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(image, (side - width * scale) / 2, (side - height * scale) / 2, width * scale, height * scale);
  return canvas;
}
