// From what was dropped, picked or pasted to named groups of files: torchvision's ImageFolder rules, in the browser.
// A folder's sub-folders are the classes; a folder without sub-folders is one class; names sort by code point, as Python sorts them.
// A zip file counts as a folder of its name.
import { arrived } from '../arrived';
import type { FoundFile, PlacedFile } from './found';

/** Files of one class; `className` is null for files that were given without a folder. */
export interface FileGroup {
  readonly className: string | null;
  readonly files: readonly FoundFile[];
}

export interface FoundFiles {
  readonly groups: readonly FileGroup[];
  /** Files in folders whose names do not end like a picture's. */
  readonly ignored: number;
}

/** torchvision.datasets.folder.IMG_EXTENSIONS, and what some browsers decode besides. */
const imageExtensions = [
  ...['.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif', '.tiff', '.webp'],
  ...['.gif', '.jfif', '.tga', '.avif', '.heic', '.heif'],
];

export function hasImageExtension(name: string): boolean {
  const lower = name.toLowerCase();
  return imageExtensions.some((extension) => lower.endsWith(extension));
}

export function isZip({ name }: { readonly name: string }): boolean {
  return name.toLowerCase().endsWith('.zip');
}

const byCodePoint = (a: string, b: string): number => {
  const left = Array.from(a);
  const right = Array.from(b);
  for (let i = 0; i < Math.min(left.length, right.length); ++i) {
    const difference = left[i]!.codePointAt(0)! - right[i]!.codePointAt(0)!;
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
};

interface PlacedBlob {
  readonly path: readonly string[];
  readonly file: File;
}

/** Reads a drop or what was pasted. Must be called inside the event: its items are gone afterwards. */
export function filesOfTransfer(transfer: DataTransfer): Promise<FoundFiles> {
  const entries: FileSystemEntry[] = [];
  const loose: PlacedBlob[] = [];
  for (const item of transfer.items) {
    if (item.kind !== 'file') continue;
    const entry = item.webkitGetAsEntry();
    if (entry) {
      entries.push(entry);
    } else {
      const file = item.getAsFile();
      if (file) loose.push({ path: [file.name], file });
    }
  }
  return Promise.all(entries.map((entry) => walk(entry, []))).then((found) => opened([...loose, ...found.flat()]));
}

/** Reads an <input type="file">, `webkitdirectory` or not. */
export function filesOfInput(files: Iterable<File>): Promise<FoundFiles> {
  return opened(Array.from(files, (file) => ({ path: (file.webkitRelativePath || file.name).split('/'), file })));
}

async function walk(entry: FileSystemEntry, parents: readonly string[]): Promise<PlacedBlob[]> {
  const path = [...parents, entry.name];
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    return [{ path, file }];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const children: FileSystemEntry[] = [];
  // readEntries gives at most 100 at a time and an empty list at the end.
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) break;
    children.push(...some);
  }
  return (await Promise.all(children.map((child) => walk(child, path)))).flat();
}

/** Looks into the zip files among them. */
async function opened(files: readonly PlacedBlob[]): Promise<FoundFiles> {
  const placed: PlacedFile[] = [];
  for (const { path, file } of files) {
    if (isZip(file)) {
      const { filesInZip } = await arrived(import('./zip'));
      for (const inside of await filesInZip(file)) placed.push(inside);
    } else placed.push({ path, file: { name: file.name, open: () => Promise.resolve(file) } });
  }
  return group(placed);
}

/** Exported for its test. */
export function group(placed: readonly PlacedFile[]): FoundFiles {
  const loose: FoundFile[] = [];
  let ignored = 0;
  const inFolders: PlacedFile[] = [];
  for (const one of placed) {
    const isHidden = one.path.some((part) => part.startsWith('.') || part === '__MACOSX');
    if (one.path.length === 1 && !isHidden) loose.push(one.file);
    else if (isHidden || !hasImageExtension(one.file.name)) ++ignored;
    else inFolders.push(one);
  }
  const byClass = new Map<string, PlacedFile[]>();
  for (const top of groupBy(inFolders, ({ path }) => path[0]!).values()) {
    const depth = classDepth(top);
    for (const one of top) {
      // A file lying beside the class folders belongs to no class.
      if (one.path.length < depth + 2) {
        ++ignored;
        continue;
      }
      const className = one.path[depth]!;
      const list = byClass.get(className);
      if (list) list.push(one);
      else byClass.set(className, [one]);
    }
  }
  const groups: FileGroup[] = [...byClass.keys()].sort(byCodePoint).map((className) => ({
    className,
    files: byClass
      .get(className)!
      .sort((a, b) => byCodePoint(a.path.join('/'), b.path.join('/')))
      .map(({ file }) => file),
  }));
  if (loose.length > 0) groups.push({ className: null, files: loose });
  return { groups, ignored };
}

/**
 * At which place of the paths the classes are named: below the outermost folder that branches, or that folder itself when it holds
 * only pictures. A folder that holds one folder and nothing else is only a wrapping.
 */
function classDepth(files: readonly PlacedFile[]): number {
  for (let depth = 0; ; ++depth) {
    const deeper = files.filter(({ path }) => path.length > depth + 2);
    if (deeper.length === 0) return depth;
    const isWrapping = deeper.length === files.length && new Set(files.map(({ path }) => path[depth + 1])).size === 1;
    if (!isWrapping) return depth + 1;
  }
}

function groupBy<Value>(values: readonly Value[], keyOf: (value: Value) => string): Map<string, Value[]> {
  const groups = new Map<string, Value[]>();
  for (const value of values) {
    const list = groups.get(keyOf(value));
    if (list) list.push(value);
    else groups.set(keyOf(value), [value]);
  }
  return groups;
}
