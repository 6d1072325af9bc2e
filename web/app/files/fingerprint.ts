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

/** The side of the small grey picture that a look is made of. */
export const lookSide = 9;

/**
 * A difference hash in both directions (dHash): 128 bits that say for a small grey picture of 9x9 whether each point is
 * lighter than its neighbour to the right and the one below. `rgba`: lookSide * lookSide * 4 bytes. Gives hexadecimal digits.
 */
export function lookOf(rgba: Uint8ClampedArray): string {
  const grey = Array.from(
    { length: lookSide * lookSide },
    (_, i) => rgba[i * 4]! * 0.299 + rgba[i * 4 + 1]! * 0.587 + rgba[i * 4 + 2]! * 0.114,
  );
  let bits = '';
  for (let y = 0; y + 1 < lookSide; ++y) {
    for (let x = 0; x + 1 < lookSide; ++x) {
      const here = grey[y * lookSide + x]!;
      bits += here > grey[y * lookSide + x + 1]! ? '1' : '0';
      bits += here > grey[(y + 1) * lookSide + x]! ? '1' : '0';
    }
  }
  return bits.replace(/.{4}/g, (four) => Number.parseInt(four, 2).toString(16));
}
