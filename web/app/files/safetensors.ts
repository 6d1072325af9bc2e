// The one change to a model file that needs no core: other names for its classes. They stand as JSON in the metadata of the header,
// which is JSON behind its length in eight bytes; the tensors behind it are counted from its end. The metadata's checksum is a
// CRC-32 of the whole file with its own digits taken as zeros.

const checksumKey = '"checksum":"';
const noChecksum = '00000000';

export function renamedModelFile(file: Uint8Array, classes: readonly string[]): Uint8Array<ArrayBuffer> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const length = Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length))) as {
    __metadata__: Record<string, string>;
  };
  header.__metadata__['classes'] = JSON.stringify(classes);
  header.__metadata__['checksum'] = noChecksum;
  const json = JSON.stringify(header);
  const text = new TextEncoder().encode(json);
  // Tensors begin at a multiple of eight; spaces at the header's end are allowed for that.
  const padded = Math.ceil(text.length / 8) * 8;
  const renamed = new Uint8Array(8 + padded + file.length - 8 - length).fill(0x20, 8, 8 + padded);
  new DataView(renamed.buffer).setBigUint64(0, BigInt(padded), true);
  renamed.set(text, 8);
  renamed.set(file.subarray(8 + length), 8 + padded);
  const before = json.slice(0, json.indexOf(checksumKey) + checksumKey.length);
  const digits = crc32(renamed).toString(16).padStart(8, '0');
  renamed.set(new TextEncoder().encode(digits), 8 + new TextEncoder().encode(before).length);
  return renamed;
}

/** As in zlib and PNG (ISO 3309). */
function crc32(bytes: Uint8Array): number {
  const table = Uint32Array.from({ length: 256 }, (_, i) => {
    let value = i;
    for (let bit = 0; bit < 8; ++bit) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
    return value;
  });
  let crc = 0xffffffff;
  for (const byte of bytes) crc = table[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
