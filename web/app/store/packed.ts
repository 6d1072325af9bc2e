// Many small records in one file, found by a number: thousands of files of their own would be slow to make and to list.
// A record is a header (mark, state, key, size) and its bytes. What is deleted becomes room for later records; the file tells
// everything about itself, so that nothing else has to be written in step with it.

/** What a FileSystemSyncAccessHandle can do; memory can stand in for it. */
export interface RandomAccessFile {
  read(into: Uint8Array<ArrayBuffer>, options: { at: number }): number;
  write(from: Uint8Array<ArrayBuffer>, options: { at: number }): number;
  getSize(): number;
  truncate(size: number): void;
  flush(): void;
  close(): void;
}

const headerSize = 24;
const mark = 0x50484f4c;
const states = { used: 1, free: 2 } as const;

interface Place {
  /** Of the header. */
  readonly at: number;
  /** Of the bytes behind it. */
  readonly size: number;
}

export class PackedFile {
  private readonly places = new Map<number, Place>();
  private free: Place[] = [];
  private end = 0;

  constructor(private readonly file: RandomAccessFile) {
    this.scan();
  }

  keys(): number[] {
    return [...this.places.keys()];
  }

  has(key: number): boolean {
    return this.places.has(key);
  }

  get(key: number): Uint8Array<ArrayBuffer> | undefined {
    const place = this.places.get(key);
    if (!place) return undefined;
    const bytes = new Uint8Array(place.size);
    if (this.file.read(bytes, { at: place.at + headerSize }) !== place.size)
      throw new Error('a stored picture is incomplete');
    return bytes;
  }

  /** The bytes first, their header last: a record that was cut short is none. */
  put(key: number, bytes: Uint8Array<ArrayBuffer>): void {
    const place = this.takeRoom(bytes.length);
    this.write(bytes, place.at + headerSize);
    this.writeHeader(place, states.used, key);
    const before = this.places.get(key);
    this.places.set(key, place);
    if (before) this.release(before);
  }

  delete(key: number): void {
    const place = this.places.get(key);
    if (!place) return;
    this.places.delete(key);
    this.release(place);
  }

  clear(): void {
    this.file.truncate(0);
    this.places.clear();
    this.free = [];
    this.end = 0;
  }

  flush(): void {
    this.file.flush();
  }

  close(): void {
    this.file.close();
  }

  private scan(): void {
    const size = this.file.getSize();
    const header = new Uint8Array(headerSize);
    const view = new DataView(header.buffer);
    while (this.end + headerSize <= size) {
      this.file.read(header, { at: this.end });
      const place = { at: this.end, size: view.getFloat64(16, true) };
      if (view.getUint32(0, true) !== mark || !(this.end + headerSize + place.size <= size)) break;
      if (view.getUint32(4, true) === states.used) this.places.set(view.getFloat64(8, true), place);
      else this.addFree(place);
      this.end += headerSize + place.size;
    }
    const last = this.free.at(-1);
    if (last && last.at + headerSize + last.size === this.end) {
      this.end = last.at;
      this.free.pop();
    }
    if (this.end < size) this.file.truncate(this.end);
  }

  /** Free places that touch become one; scan() meets them in the file's order. */
  private addFree(place: Place): void {
    const last = this.free.at(-1);
    if (last && last.at + headerSize + last.size === place.at)
      this.free[this.free.length - 1] = { at: last.at, size: last.size + headerSize + place.size };
    else this.free.push(place);
  }

  private takeRoom(size: number): Place {
    // What is left over must have room for a header of its own.
    const index = this.free.findIndex((place) => place.size === size || place.size >= size + headerSize);
    const found = this.free[index];
    if (!found) {
      const place = { at: this.end, size };
      this.end += headerSize + size;
      return place;
    }
    if (found.size === size) {
      this.free.splice(index, 1);
    } else {
      const rest = { at: found.at + headerSize + size, size: found.size - size - headerSize };
      this.writeHeader(rest, states.free, 0);
      this.free[index] = rest;
    }
    return { at: found.at, size };
  }

  private release(place: Place): void {
    this.writeHeader(place, states.free, 0);
    this.free.push(place);
  }

  private writeHeader({ at, size }: Place, state: number, key: number): void {
    const view = new DataView(new ArrayBuffer(headerSize));
    view.setUint32(0, mark, true);
    view.setUint32(4, state, true);
    view.setFloat64(8, key, true);
    view.setFloat64(16, size, true);
    this.write(new Uint8Array(view.buffer), at);
  }

  private write(bytes: Uint8Array<ArrayBuffer>, at: number): void {
    const written = this.file.write(bytes, { at });
    if (written !== bytes.length) throw new Error('the browser has no more room for pictures');
  }
}

/** Stands in where the browser gives no private file system: lasts as long as the page. */
export class MemoryFile implements RandomAccessFile {
  private readonly chunks: Uint8Array<ArrayBuffer>[] = [];
  private size = 0;

  read(into: Uint8Array<ArrayBuffer>, { at }: { at: number }): number {
    const length = Math.max(0, Math.min(into.length, this.size - at));
    this.eachPart(at, length, (chunk, from, to, done) => into.set(chunk.subarray(from, to), done));
    return length;
  }

  write(bytes: Uint8Array<ArrayBuffer>, { at }: { at: number }): number {
    const end = at + bytes.length;
    while (this.chunks.length * MemoryFile.chunkSize < end) this.chunks.push(new Uint8Array(MemoryFile.chunkSize));
    this.size = Math.max(this.size, end);
    this.eachPart(at, bytes.length, (chunk, from, to, done) => chunk.set(bytes.subarray(done, done + to - from), from));
    return bytes.length;
  }

  getSize(): number {
    return this.size;
  }

  truncate(size: number): void {
    this.size = size;
    this.chunks.length = Math.ceil(size / MemoryFile.chunkSize);
  }

  flush(): void {
    // There is nothing behind it.
  }

  close(): void {
    this.truncate(0);
  }

  private static readonly chunkSize = 1 << 22;

  private eachPart(
    at: number,
    length: number,
    use: (chunk: Uint8Array<ArrayBuffer>, from: number, to: number, done: number) => void,
  ): void {
    for (let done = 0; done < length;) {
      const from = (at + done) % MemoryFile.chunkSize;
      const to = Math.min(MemoryFile.chunkSize, from + length - done);
      use(this.chunks[Math.floor((at + done) / MemoryFile.chunkSize)]!, from, to, done);
      done += to - from;
    }
  }
}
