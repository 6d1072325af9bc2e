// The sample photos and their credits: nothing is shown whose author and licence are not named.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { samples } from './page.mjs';

const manifest = JSON.parse(readFileSync(path.join(samples, 'manifest.json'), 'utf8'));

test('the manifest lists every sample photo and no other', () => {
  const folders = readdirSync(samples, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  assert.deepEqual(manifest.classes.map(({ name }) => name).sort(), folders.map(({ name }) => name).sort());
  for (const { name, files } of manifest.classes) {
    assert.deepEqual(files.map(({ file }) => file).sort(), readdirSync(path.join(samples, name)).sort());
  }
});

test('every sample photo has an author, a source and a free licence, in the manifest and in CREDITS.md alike', () => {
  const credits = readFileSync(path.join(samples, 'CREDITS.md'), 'utf8').split('\n');
  for (const { name, files } of manifest.classes) {
    for (const { file, author, source, licence } of files) {
      assert.match(licence, /^(CC0-1\.0|Public Domain)$/, file);
      assert.ok(author.length > 0 && source.startsWith('https://'), file);
      const section = credits.slice(credits.indexOf(`## ${name}`) + 1);
      assert.ok(
        section.includes(`- ${author} | ${source} | ${licence} | ${file}`),
        `${name}/${file} is not in CREDITS.md`,
      );
    }
  }
});
