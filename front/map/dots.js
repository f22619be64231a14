/**
 * Dots by the thousand, written as pixels: a canvas takes milliseconds longer to draw as many, whoever
 * draws for it.
 */

/** @param {CanvasRenderingContext2D} context of the map */
export function createDots(context) {
  const { canvas } = context;
  /** @type {Uint32Array} a colour a cluster, without its opacity */
  let colours = new Uint32Array();
  let image = context.createImageData(1, 1);
  let pixels = new Uint32Array(image.data.buffer);
  let radius = 0;
  /** @type {{dx: number, dy: number, opacity: number}[]} */
  let stamp = [];

  return {
    /** @param {string[]} palette */
    colour(palette) {
      colours = Uint32Array.from(palette, asPixel);
    },
    /** @param {number} size in pixels of the canvas */
    clear(size) {
      if (image.width !== canvas.width || image.height !== canvas.height) {
        image = context.createImageData(canvas.width, canvas.height);
        pixels = new Uint32Array(image.data.buffer);
      } else {
        pixels.fill(0);
      }
      if (size === radius) return;
      radius = size;
      stamp = stampOf(size);
    },
    /** @param {number} x in pixels of the canvas @param {number} y @param {number} cluster */
    add(x, y, cluster) {
      const { width, height } = image;
      const [left, top] = [Math.round(x), Math.round(y)];
      if (left < -radius || top < -radius || left > width + radius || top > height + radius) return;
      const colour = colours[cluster] ?? 0;
      const isInside = left > radius + 1 && top > radius + 1 && left < width - radius - 2 && top < height - radius - 2;
      for (const { dx, dy, opacity } of stamp) {
        if (!isInside && (left + dx < 0 || left + dx >= width || top + dy < 0 || top + dy >= height)) continue;
        const at = (top + dy) * width + left + dx;
        // Where two meet, the edge of one must not cut into the other.
        if ((pixels[at] ?? 0) >>> 24 <= opacity) pixels[at] = ((opacity << 24) | colour) >>> 0;
      }
    },
    /** Puts them on the canvas, instead of all that is there. */
    put: () => context.putImageData(image, 0, 0),
  };
}

/** @param {number} radius */
function stampOf(radius) {
  const reach = Math.ceil(radius + 1);
  const found = [];
  for (let dy = -reach; dy <= reach; dy++) {
    for (let dx = -reach; dx <= reach; dx++) {
      const opacity = Math.round(255 * Math.min(1, Math.max(0, radius + 0.5 - Math.hypot(dx, dy))));
      if (opacity) found.push({ dx, dy, opacity });
    }
  }
  return found;
}

/**
 * A colour as it lies in an image, but for its opacity.
 * @param {string} colour
 */
function asPixel(colour) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const context = canvas.getContext("2d");
  if (!context) return 0;
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  const [red = 0, green = 0, blue = 0] = context.getImageData(0, 0, 1, 1).data;
  return (blue << 16) | (green << 8) | red;
}
