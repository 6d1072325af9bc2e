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

/** Grey, side * side: each point the mean of the area that it covers. */
function shrunk({ data, width, height, channels }: Pixels): Float64Array {
  const grey = new Float64Array(side * side);
  const [acrossWeights, downWeights] = [sharesOf(width), sharesOf(height)];
  for (let y = 0; y < height; ++y) {
    for (let x = 0; x < width; ++x) {
      const at = (y * width + x) * channels;
      const value = channels === 1 ? data[at]! : data[at]! * 0.299 + data[at + 1]! * 0.587 + data[at + 2]! * 0.114;
      for (const [row, down] of downWeights[y]!)
        for (const [column, across] of acrossWeights[x]!) grey[row * side + column]! += value * down * across;
    }
  }
  return grey;
}

/** For each of `size` pixels in a line, the points it belongs to (one, or two at a border) and the share of each of them it makes up. */
function sharesOf(size: number): (readonly [point: number, share: number])[][] {
  return Array.from({ length: size }, (_, i) => {
    const [from, to] = [(i * side) / size, ((i + 1) * side) / size];
    const shares: [number, number][] = [];
    for (let point = Math.floor(from); point < to && point < side; ++point)
      shares.push([point, Math.min(to, point + 1) - Math.max(from, point)]);
    return shares;
  });
}
