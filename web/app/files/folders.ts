// From what was dropped or picked to named groups of files: torchvision's ImageFolder rules, in the browser.
// A folder's sub-folders are the classes; a folder without sub-folders is one class; names sort by code point, as Python sorts them.

/** Files of one class; `className` is null for files that were given without a folder. */
export interface FileGroup {
  readonly className: string | null;
  readonly files: readonly File[];
}

export interface FoundFiles {
  readonly groups: readonly FileGroup[];
  /** Files in folders whose names do not end like a picture's. */
  readonly ignored: number;
}

/** torchvision.datasets.folder.IMG_EXTENSIONS */
const imageExtensions = ['.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif', '.tiff', '.webp'];

export function hasImageExtension(name: string): boolean {
  const lower = name.toLowerCase();
  return imageExtensions.some((extension) => lower.endsWith(extension));
}

interface PlacedFile {
  readonly path: readonly string[];
  readonly file: File;
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

/** Reads a drop. Must be called inside the event: its items are gone afterwards. */
export function filesOfDrop(transfer: DataTransfer): Promise<FoundFiles> {
  const entries: FileSystemEntry[] = [];
  const loose: PlacedFile[] = [];
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
  return Promise.all(entries.map((entry) => walk(entry, []))).then((found) => group([...loose, ...found.flat()]));
}

/** Reads an <input type="file">, `webkitdirectory` or not. */
export function filesOfInput(files: Iterable<File>): FoundFiles {
  return group(Array.from(files, (file) => ({ path: (file.webkitRelativePath || file.name).split('/'), file })));
}

async function walk(entry: FileSystemEntry, parents: readonly string[]): Promise<PlacedFile[]> {
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

/** Exported for its test. */
export function group(placed: readonly PlacedFile[]): FoundFiles {
  const loose: File[] = [];
  const byClass = new Map<string, PlacedFile[]>();
  const withSubFolders = new Set(placed.filter(({ path }) => path.length > 2).map(({ path }) => path[0]!));
  let ignored = 0;
  for (const one of placed) {
    const [top, sub] = one.path as [string, string | undefined];
    if (one.path.length === 1) {
      loose.push(one.file);
      continue;
    }
    const isHidden = one.path.some((part) => part.startsWith('.'));
    // A file lying beside the class folders belongs to no class.
    const isBeside = withSubFolders.has(top) && one.path.length === 2;
    if (isHidden || isBeside || !hasImageExtension(one.file.name)) {
      ++ignored;
      continue;
    }
    const className = withSubFolders.has(top) ? sub! : top;
    const list = byClass.get(className);
    if (list) list.push(one);
    else byClass.set(className, [one]);
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
