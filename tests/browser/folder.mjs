// Chooses a folder where the browser's driver can choose files only: the page gets what the browser would have given it.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';

export const isFolder = (files) => typeof files === 'string' && statSync(files).isDirectory();

/** `input`: the locator of an <input type="file" webkitdirectory>. */
export async function giveFolder(input, folder) {
  const inside = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const files = inside.map(({ parentPath, name }) => ({
    name,
    place: path.join(path.basename(folder), path.relative(folder, path.join(parentPath, name))),
    base64: readFileSync(path.join(parentPath, name)).toString('base64'),
  }));
  await input.evaluate((element, given) => {
    const value = given.map(({ name, place, base64 }) => {
      const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
      return Object.defineProperty(new File([bytes], name), 'webkitRelativePath', { value: place });
    });
    Object.defineProperty(element, 'files', { value, configurable: true });
    element.dispatchEvent(new Event('change', { bubbles: true }));
    delete element.files;
  }, files);
}
