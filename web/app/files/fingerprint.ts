// Recognises files that are the same, and pictures that show the same.

/** 53 bits of the bytes as text: equal files have equal ones. (cyrb53, public domain; nobody attacks it here.) */
export function exactPrint(bytes: Uint8Array): string {
  let a = 0xdeadbeef;
  let b = 0x41c6ce57;
  for (const byte of bytes) {
    a = Math.imul(a ^ byte, 2654435761);
    b = Math.imul(b ^ byte, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return (2 ** 32 * (b & 0x1fffff) + (a >>> 0)).toString(36);
}

/** What the core made of a picture: height * width * channels bytes, 1 channel (grey) or 3 (RGB). */
export interface Pixels {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly channels: number;
}

/** The side of the small grey picture that a look is made of. */
const side = 9;

/**
 * A difference hash in both directions (dHash): 128 bits that say for a small grey picture of 9x9 whether each point is
 * lighter than its neighbour to the right and the one below. Made of the core's pixels, so that every browser gives the same.
 * Gives hexadecimal digits.
 */
export function lookOf(pixels: Pixels): string {
  const grey = shrunk(pixels);
  let bits = '';
  for (let y = 0; y + 1 < side; ++y) {
    for (let x = 0; x + 1 < side; ++x) {
      const here = grey[y * side + x]!;
      bits += here > grey[y * side + x + 1]! ? '1' : '0';
      bits += here > grey[(y + 1) * side + x]! ? '1' : '0';
    }
  }
  return bits.replace(/.{4}/g, (four) => Number.parseInt(four, 2).toString(16));
}

/** Grey, side * side: each point the mean of its part of the picture. */
function shrunk({ data, width, height, channels }: Pixels): number[] {
  const sums = new Float64Array(side * side);
  const counts = new Uint32Array(side * side);
  for (let y = 0, at = 0; y < height; ++y) {
    const row = Math.floor((y * side) / height) * side;
    for (let x = 0; x < width; ++x, at += channels) {
      const point = row + Math.floor((x * side) / width);
      sums[point]! += channels === 1 ? data[at]! : data[at]! * 0.299 + data[at + 1]! * 0.587 + data[at + 2]! * 0.114;
      ++counts[point]!;
    }
  }
  return Array.from(sums, (sum, point) => sum / counts[point]!);
}
