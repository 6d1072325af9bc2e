// Looks into a zip file without reading all of it: the list of its files stands at its end, and each is unpacked when it is opened.
// Nothing that the list says is believed without a bound: a small zip may claim, or hold, far more than fits here.
import { Inflate } from 'fflate';
import type { PlacedFile } from './found';

const mostFiles = 100_000;
/** Of one unpacked file. */
const largestFile = 256 << 20;

const marks = { end: 0x06054b50, entry: 0x02014b50, local: 0x04034b50 } as const;

interface Entry {
  readonly path: string;
  readonly isStored: boolean;
  readonly isEncrypted: boolean;
  readonly packed: number;
  readonly size: number;
  /** Of its local header. */
  readonly at: number;
}

/** Every file in it, placed below a folder of the zip's own name. Throws one sentence when it is no zip that can be read. */
export async function filesInZip(zip: File): Promise<PlacedFile[]> {
  const top = zip.name.replace(/\.zip$/i, '').replace(/-samples$/, '');
  const entries = await entriesOf(zip);
  return entries
    .filter(({ path }) => !path.endsWith('/'))
    .map((entry) => {
      const path = entry.path.split(/[/\\]/).filter((part) => part !== '' && part !== '.' && part !== '..');
      const name = path.at(-1) ?? 'a file without a name';
      return { path: [top, ...path], file: { name, open: () => unpack(zip, entry) } };
    });
}

async function entriesOf(zip: File): Promise<Entry[]> {
  const fail = (why: string): never => {
    throw new Error(`${zip.name}: ${why}`);
  };
  const tailAt = Math.max(0, zip.size - 22 - 0xffff);
  const tail = await viewOf(zip, tailAt, zip.size);
  let end = tail.byteLength - 22;
  while (end >= 0 && tail.getUint32(end, true) !== marks.end) --end;
  if (end < 0) return fail('this is no zip file, or it is incomplete');
  const count = tail.getUint16(end + 10, true);
  const listSize = tail.getUint32(end + 12, true);
  const listAt = tail.getUint32(end + 16, true);
  if (count === 0xffff || listAt === 0xffffffff)
    return fail('zip files beyond 4 GB or 65,534 files cannot be read; unpack it and choose the folder');
  if (listAt + listSize > zip.size) return fail('this zip file is damaged');
  const list = await viewOf(zip, listAt, listAt + listSize);
  const entries: Entry[] = [];
  for (let at = 0; at + 46 <= list.byteLength;) {
    if (list.getUint32(at, true) !== marks.entry) return fail('this zip file is damaged');
    const nameLength = list.getUint16(at + 28, true);
    const flags = list.getUint16(at + 8, true);
    const method = list.getUint16(at + 10, true);
    const entry = {
      path: nameOf(list, at + 46, nameLength, zip.name),
      isStored: method === 0,
      isEncrypted: (flags & 1) === 1 || (method !== 0 && method !== 8),
      packed: list.getUint32(at + 20, true),
      size: list.getUint32(at + 24, true),
      at: list.getUint32(at + 42, true),
    };
    entries.push(entry);
    if (entries.length > mostFiles) return fail(`it has more than ${mostFiles.toLocaleString('en')} files`);
    at += 46 + nameLength + list.getUint16(at + 30, true) + list.getUint16(at + 32, true);
  }
  return entries;
}

function nameOf(list: DataView<ArrayBuffer>, at: number, length: number, zipName: string): string {
  if (at + length > list.byteLength) throw new Error(`${zipName}: this zip file is damaged`);
  return new TextDecoder().decode(new Uint8Array(list.buffer, at, length));
}

async function unpack(zip: File, { packed, size, at, isStored, isEncrypted }: Entry): Promise<Blob> {
  if (isEncrypted) throw new Error('it is encrypted or packed in a way that cannot be read here');
  if (size > largestFile || packed > largestFile) throw new Error(`it is larger than ${largestFile >> 20} MB`);
  const header = await viewOf(zip, at, at + 30);
  if (header.byteLength < 30 || header.getUint32(0, true) !== marks.local)
    throw new Error('the zip file is damaged there');
  const start = at + 30 + header.getUint16(26, true) + header.getUint16(28, true);
  const body = zip.slice(start, start + packed);
  if (body.size < packed) throw new Error('the zip file ends in the middle of it');
  return isStored ? body : inflate(new Uint8Array(await body.arrayBuffer()), size);
}

/** Stops as soon as there is more than the list said. */
function inflate(packed: Uint8Array, size: number): Blob {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let total = 0;
  const inflater = new Inflate((part) => {
    total += part.length;
    if (total > size) throw new Error('it unpacks to more than the zip file says');
    parts.push(part);
  });
  const step = 1 << 16;
  try {
    for (let at = 0; at < packed.length; at += step)
      inflater.push(packed.subarray(at, at + step), at + step >= packed.length);
  } catch (error) {
    // fflate's own errors speak of its insides.
    throw error instanceof Error && error.message.startsWith('it ')
      ? error
      : new Error('it is damaged in the zip file');
  }
  if (total !== size) throw new Error('it is damaged in the zip file');
  return new Blob(parts);
}

async function viewOf(zip: Blob, from: number, to: number): Promise<DataView<ArrayBuffer>> {
  return new DataView(await zip.slice(from, to).arrayBuffer());
}
