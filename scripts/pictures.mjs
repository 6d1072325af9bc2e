// How native_export --verify hands pictures to the programs that run exported files: on standard input, each as the length of a header
// (uint32, little-endian), the header as JSON ({"type": "uint8" or "float32", "dims": [...]}) and the values.

/** The pieces of standard input, cut as asked. */
export async function* readPictures(stream) {
  let rest = Buffer.alloc(0);
  const chunks = stream[Symbol.asyncIterator]();
  const take = async (size) => {
    const parts = [rest];
    let have = rest.length;
    while (have < size) {
      const { value, done } = await chunks.next();
      if (done) {
        if (have === 0) return undefined;
        throw new Error('the input ends in the middle of a picture');
      }
      parts.push(value);
      have += value.length;
    }
    const all = Buffer.concat(parts);
    rest = all.subarray(size);
    return all.subarray(0, size);
  };
  for (let length = await take(4); length; length = await take(4)) {
    const { type, dims } = JSON.parse((await take(length.readUInt32LE())).toString());
    const values = dims.reduce((product, size) => product * size, 1);
    const bytes = await take(values * (type === 'float32' ? 4 : 1));
    // A copy: the values must start where their type allows.
    const data =
      type === 'float32'
        ? new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))
        : Uint8Array.from(bytes);
    yield { type, dims, data };
  }
}
