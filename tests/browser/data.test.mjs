// Step 1 of the page: every way that images come in, what classes can do, and that all of it is there again after a reload.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { zipSync } from 'fflate';
import { serve } from '../../scripts/serve.mjs';
import {
  classify,
  dropOn,
  engineReady,
  launch,
  openPage,
  pasteOn,
  photoFolder,
  samples,
  shownProbabilities,
} from './page.mjs';
import { png } from '../wasm/support.mjs';

const limit = { timeout: 90_000 };

let browser, server, scratch, photos;

before(async () => {
  [browser, server] = await Promise.all([launch({ camera: true }), serve({ port: 4283 })]);
  scratch = mkdtempSync(path.join(tmpdir(), 'pinhole-data-'));
  photos = photoFolder(['fishes', 'monuments', 'tools'], 8);
});

after(async () => {
  await browser?.close();
  await server?.close();
  photos?.remove();
  if (scratch) rmSync(scratch, { recursive: true });
});

const card = (page, name) => page.getByRole('region', { name: `Class ${name}`, exact: true });
const photosOf = (page, name) => page.getByRole('list', { name: `Photos of ${name}` }).getByRole('listitem');
const classNames = (page) =>
  page.getByRole('textbox', { name: 'Class name' }).evaluateAll((all) => all.map((one) => one.value));
const undo = (page) => page.getByRole('button', { name: 'Undo' }).click();

/** As many photos of a sample class as a zip file's content. */
function zipped(entries) {
  return zipSync(Object.fromEntries(entries.map(([name, file]) => [name, readFileSync(path.join(samples, file))])));
}

function write(name, content) {
  const file = path.join(scratch, name);
  writeFileSync(file, content);
  return file;
}

test('classes are moved by keyboard, merged and renamed, and each of these is undone in turn', limit, async () => {
  const { page, close } = await openPage(browser, server.url);
  await page.getByLabel('Choose a folder').setInputFiles(photos.folder);
  await page.getByText('24 images in 3 classes').waitFor();

  await page.getByRole('button', { name: 'Move tools, place 3 of 3' }).focus();
  await page.keyboard.press('ArrowUp');
  await page.getByRole('button', { name: 'Move tools, place 2 of 3' }).waitFor();
  await page.keyboard.press('ArrowUp');
  await page.getByRole('button', { name: 'Move tools, place 1 of 3' }).waitFor();
  assert.deepEqual(await classNames(page), ['tools', 'fishes', 'monuments']);

  await page.getByRole('button', { name: 'Merge monuments', exact: true }).click();
  await page.getByRole('group', { name: 'Merge monuments into' }).getByRole('button', { name: 'fishes' }).click();
  await page.getByText('24 images in 2 classes').waitFor();
  assert.match(await card(page, 'fishes').innerText(), /16 images/);

  await card(page, 'tools').getByLabel('Class name').fill('instruments');
  await page.keyboard.press('Enter');
  await page.getByText('Renamed tools to instruments.').first().waitFor();
  await page.getByRole('button', { name: 'Delete fishes', exact: true }).click();
  await page.getByText('8 images in 1 class').waitFor();

  await undo(page);
  await page.getByText('24 images in 2 classes').waitFor();
  await undo(page);
  await card(page, 'tools').waitFor();
  await undo(page);
  await page.getByText('24 images in 3 classes').waitFor();
  // The keyboard's own undo, outside of a text field.
  await page.getByRole('heading', { name: 'Data' }).click();
  await page.keyboard.press('Control+z');
  await page.keyboard.press('Control+z');
  await page.getByRole('button', { name: 'Move tools, place 3 of 3' }).waitFor();
  assert.deepEqual(await classNames(page), ['fishes', 'monuments', 'tools']);
  await close();
});

test('a class that is renamed keeps the trained model, which then says the new name', limit, async () => {
  const { page, close } = await openPage(browser, server.url);
  await page.getByLabel('Choose a folder').setInputFiles(photos.folder);
  await page.getByText('24 images in 3 classes').waitFor();
  await page.getByText('Advanced', { exact: true }).click();
  await page.getByRole('radio', { name: 'FashionCNN' }).check();
  await page.getByRole('button', { name: 'Train', exact: true }).click();
  await page.getByRole('heading', { name: 'Validation accuracy' }).waitFor({ timeout: 60_000 });
  const photo = path.join(samples, 'tools/plier1.jpg');
  const before = await classify(page, photo);
  await card(page, 'tools').getByLabel('Class name').fill('instruments');
  await page.keyboard.press('Enter');
  await page.getByRole('list', { name: 'Probabilities' }).getByText('instruments').waitFor();
  const { tools, ...others } = before;
  assert.deepEqual(await classify(page, photo), { ...others, instruments: tools });
  await page.getByRole('region', { name: 'Confusion matrix' }).getByText('instruments').first().waitFor();

  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Save the model' }).click(),
  ]);
  const saved = path.join(scratch, 'renamed.safetensors');
  await download.saveAs(saved);
  await undo(page);
  await page.getByRole('list', { name: 'Probabilities' }).getByText('tools', { exact: true }).waitFor();
  assert.deepEqual(await shownProbabilities(page), before);
  await page.getByLabel('Open a model file').setInputFiles(saved);
  await page.getByText(/From renamed\.safetensors/).waitFor();
  assert.deepEqual(await classify(page, photo), { ...others, instruments: tools });
  await close();
});

test('an import is cancelled: what was read until then stays, and one undo takes it away', limit, async () => {
  const { page, close } = await openPage(browser, server.url);
  const many = mkdtempSync(path.join(scratch, 'many-'));
  for (const name of ['first', 'second']) {
    mkdirSync(path.join(many, name));
    for (let i = 0; i < 1500; ++i) writeFileSync(path.join(many, name, `${i}.ppm`), `P6 8 8 255\n${'abc'.repeat(64)}`);
  }
  await page.getByLabel('Choose a folder').setInputFiles(many);
  const progress = page.getByRole('progressbar', { name: 'Images read' });
  await progress.waitFor();
  assert.equal(await progress.getAttribute('aria-valuemax'), '3000');
  await page.waitForFunction(() => document.querySelectorAll('[data-class-card] img').length > 0);
  await page.getByRole('button', { name: 'Cancel', exact: true }).click();
  const said = page.getByText(/^[\d,]+ images? added before you cancelled\./).first();
  await said.waitFor();
  const added = Number(/^[\d,]+/.exec(await said.innerText())[0].replace(',', ''));
  assert.ok(added >= 1 && added < 3000, `${added} images were added`);
  await page
    .getByText(`${added.toLocaleString('en')} images in `)
    .first()
    .waitFor();
  assert.equal(await progress.count(), 0);
  await undo(page);
  await page.getByRole('heading', { name: 'Drop a folder of photos here' }).waitFor();
  await close();
});

test('a zip of class folders, and one of a single class, become classes; junk in them is left out', limit, async () => {
  const { page, close } = await openPage(browser, server.url);
  const folders = write(
    'pets.zip',
    zipped([
      ['pets/fish/1.jpg', 'fishes/fish1.jpg'],
      ['pets/fish/2.jpg', 'fishes/fish2.jpg'],
      ['pets/tool/a.jpg', 'tools/plier1.jpg'],
      ['__MACOSX/pets/fish/._1.jpg', 'fishes/fish1.jpg'],
      ['pets/fish/.hidden.jpg', 'fishes/fish1.jpg'],
      ['pets/.DS_Store', 'fishes/fish1.jpg'],
      ['pets/notes.txt', 'fishes/fish1.jpg'],
    ]),
  );
  await page.getByLabel('Choose a zip file').setInputFiles(folders);
  await page.getByText('3 images in 2 classes').waitFor();
  assert.deepEqual(await classNames(page), ['fish', 'tool']);
  await page.getByText('4 other files left out.').waitFor();

  const single = write(
    'Monuments-samples.zip',
    zipped([
      ['0.jpg', 'monuments/burj.jpg'],
      ['1.jpg', 'monuments/tajMahal.jpg'],
    ]),
  );
  await dropOn(page, page.getByRole('heading', { name: 'Data' }), [single]);
  await dropOn(page, page.getByText('4 other files left out.'), [single]);
  await page.getByText('5 images in 3 classes').waitFor();
  assert.deepEqual(await classNames(page), ['fish', 'tool', 'Monuments']);

  await page.getByLabel('Add images to tool').setInputFiles(single);
  await page.getByText('7 images in 3 classes').waitFor();
  assert.equal(await photosOf(page, 'tool').count(), 3);
  await close();
});

test('zip files that are damaged, or unpack to more than they say, are refused by name', limit, async () => {
  const { page, close } = await openPage(browser, server.url);
  const alert = page.getByRole('region', { name: 'Data', exact: true }).getByRole('alert');
  await page
    .getByLabel('Choose a zip file')
    .setInputFiles(write('cut.zip', zipped([['a/1.jpg', 'tools/plier1.jpg']]).subarray(0, 900)));
  await alert.getByText('cut.zip: this is no zip file, or it is incomplete').waitFor();

  // 32 MB of zeros, of which the list of files says that they are 1,000 bytes.
  const bomb = zipSync({
    'a/zeros.bmp': new Uint8Array(32 << 20),
    'a/photo.jpg': readFileSync(path.join(samples, 'tools/plier1.jpg')),
  });
  const view = new DataView(bomb.buffer, bomb.byteOffset, bomb.byteLength);
  for (let at = 0; at + 4 < bomb.length; ++at)
    if (view.getUint32(at, true) === 0x02014b50) {
      view.setUint32(at + 24, 1000, true);
      break;
    }
  await page.getByLabel('Choose a zip file').setInputFiles(write('bomb.zip', bomb));
  await page.getByText('1 image in 1 class').waitFor();
  assert.match(await alert.innerText(), /zeros\.bmp: it unpacks to more than the zip file says/);
  await close();
});

test(
  'pasted images join the class that has the focus, elsewhere they make one; what cannot be decoded is named',
  limit,
  async () => {
    const { page, close } = await openPage(browser, server.url);
    const paste = () => pasteOn(page.locator('body'), path.join(samples, 'tools/plier1.jpg'), 'image.jpg');
    await paste();
    await page.getByText('1 image in 1 class').waitFor();
    await page.getByRole('button', { name: 'Add a class' }).click();
    await page.keyboard.type('pliers');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Delete pliers' }).focus();
    await paste();
    await page.getByText('2 images in 2 classes').waitFor();
    assert.equal(await photosOf(page, 'pliers').count(), 1);

    // The beginning of an iPhone's photo; Chromium has no decoder for it.
    const heic = write('IMG_0001.HEIC', Buffer.from('\0\0\0\x18ftypheic\0\0\0\0mif1heic', 'latin1'));
    await page.getByLabel('Add images to pliers').setInputFiles(heic);
    const alert = page.getByRole('region', { name: 'Data', exact: true }).getByRole('alert');
    await alert.getByText(/IMG_0001\.HEIC: the image is HEIC, which this browser cannot decode/).waitFor();
    await close();
  },
);

test('the very first key after "Add a class" changes its name, and after a move moves it again', limit, async () => {
  const { page, close } = await openPage(browser, server.url);
  // What has the focus within the task of the click or key: frames may come late.
  const focusAfter = (role, name, event) =>
    page.getByRole(role, { name }).evaluate(async (one, type) => {
      one.focus();
      one.dispatchEvent(
        type === 'click'
          ? new MouseEvent('click', { bubbles: true })
          : new KeyboardEvent('keydown', { key: 'ArrowDown', bubbles: true }),
      );
      for (let turn = 0; turn < 20; ++turn) await null;
      const { activeElement } = document;
      return activeElement.value || activeElement.getAttribute('aria-label');
    }, event);
  assert.equal(await focusAfter('button', 'Add a class', 'click'), 'Class 1');
  assert.equal(await focusAfter('button', 'Add a class', 'click'), 'Class 2');
  assert.equal(await page.evaluate(() => globalThis.getSelection().toString()), 'Class 2');
  assert.equal(await focusAfter('button', 'Move Class 1, place 1 of 2', 'key'), 'Move Class 1, place 2 of 2');
  await close();
});

test('the webcam records several pictures as long as its button is held, by keyboard as well', limit, async () => {
  const { page, close } = await openPage(browser, server.url);
  await page.getByRole('button', { name: 'Add a class' }).click();
  await page.getByRole('button', { name: 'Webcam for Class 1' }).click();
  const hold = page.getByRole('button', { name: 'Hold to record' });
  await page.waitForFunction(() =>
    [...document.querySelectorAll('button')].some((one) => one.textContent === 'Hold to record' && !one.disabled),
  );
  await hold.focus();
  await page.keyboard.down(' ');
  await page.getByRole('button', { name: 'Recording…' }).waitFor();
  await page.waitForFunction(() => document.querySelectorAll('.photo').length >= 3);
  await page.keyboard.up(' ');
  await page
    .getByText(/^Recorded \d+ images\.$/)
    .first()
    .waitFor();
  const recorded = await photosOf(page, 'Class 1').count();
  await hold.hover();
  await page.mouse.down();
  await page.waitForFunction((count) => document.querySelectorAll('.photo').length > count, recorded);
  await page.mouse.up();
  await page.getByRole('button', { name: 'Hold to record' }).waitFor();
  await page.getByRole('button', { name: 'Close the camera' }).click();
  await undo(page);
  await page.waitForFunction((count) => document.querySelectorAll('.photo').length === count, recorded);
  await close();
});

/** In the page: the classes on its database's lists. */
async function classesKept() {
  const done = (request) =>
    new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = reject;
    });
  const database = await done(indexedDB.open('pinhole'));
  const lists = await done(database.transaction('project').objectStore('project').get('photos'));
  database.close();
  return lists?.classes ?? [];
}

/** The slower the page's writing is, the longer it waits before. */
async function untilKept(page, count) {
  const photosKept = async () =>
    (await page.evaluate(classesKept)).reduce((sum, { photos: { length } }) => sum + length, 0);
  while ((await photosKept()) !== count) await page.waitForTimeout(100);
}

test(
  'a reload brings back classes, images, settings, curves and the trained model; a new project clears them',
  limit,
  async () => {
    const { page, context, close } = await openPage(browser, server.url);
    await page.getByLabel('Choose a folder').setInputFiles(photos.folder);
    await page.getByText('24 images in 3 classes').waitFor();
    await page.getByText('Advanced', { exact: true }).click();
    await page.getByRole('radio', { name: 'FashionCNN' }).check();
    await page.getByLabel('Epochs', { exact: true }).fill('3');
    await page.getByRole('button', { name: 'Train', exact: true }).click();
    await page.getByRole('heading', { name: 'Validation accuracy' }).waitFor({ timeout: 60_000 });
    const photo = path.join(samples, 'tools/plier1.jpg');
    const before = await classify(page, photo);
    await page.getByRole('button', { name: 'Remove fish1.jpg' }).focus();
    await page.keyboard.press('Delete');
    await page.getByText('23 images in 3 classes').waitFor();
    await untilKept(page, 23);

    await page.reload();
    await engineReady(page);
    await page.getByText('23 images in 3 classes').waitFor();
    assert.equal(await photosOf(page, 'fishes').count(), 7);
    const image = page.getByRole('img', { name: 'fish10.jpg' });
    await image.scrollIntoViewIfNeeded();
    await page.waitForFunction(() =>
      [...document.querySelectorAll('.photo img')].every((one) => one.complete && one.naturalWidth === 144),
    );
    await page.getByText('Advanced', { exact: true }).click();
    assert.ok(await page.getByRole('radio', { name: 'FashionCNN' }).isChecked());
    await page.getByRole('heading', { name: 'Validation accuracy' }).waitFor();
    await page.getByRole('img', { name: /^Loss\. Training / }).waitFor();
    await page.getByRole('region', { name: 'Model in use' }).waitFor();
    assert.deepEqual(await classify(page, photo), before);
    // It trains with what was stored.
    await page.getByRole('button', { name: 'Train again' }).click();
    await page.getByRole('progressbar', { name: 'Training' }).waitFor();
    await page.getByRole('heading', { name: 'Validation accuracy' }).waitFor({ timeout: 60_000 });

    const second = await context.newPage();
    await second.goto(server.url);
    await second.getByText('the project is open in another tab').waitFor();
    await second.close();

    await page.getByRole('button', { name: 'New project' }).click();
    await page.getByRole('button', { name: 'Delete everything' }).click();
    await page.getByRole('heading', { name: 'Drop a folder of photos here' }).waitFor();
    await untilKept(page, 0);
    await page.reload();
    await engineReady(page);
    await page.getByRole('heading', { name: 'Drop a folder of photos here' }).waitFor();
    assert.equal(await page.getByRole('region', { name: 'Model in use' }).count(), 0);
    await close();
  },
);

test('where writing is slow, photos that were read in and new names are written without a pause', limit, async () => {
  const many = photoFolder(['fishes', 'monuments', 'tools'], 20);
  const { page, context, close } = await openPage(browser, server.url);
  await context.addInitScript(() => {
    Object.defineProperty(IDBTransaction.prototype, 'oncomplete', {
      set(listener) {
        this.addEventListener('complete', () => setTimeout(listener, 1000));
      },
    });
  });
  await page.reload();
  await engineReady(page);
  await page.getByLabel('Choose a folder').setInputFiles(many.folder);
  await page.getByText('60 images in 3 classes').waitFor();
  // Less than the pause of nine seconds.
  await page.waitForTimeout(5000);
  await page.reload();
  await engineReady(page);
  await page.getByText('60 images in 3 classes').waitFor();
  for (const [before, after] of [
    ['tools', 'gear'],
    ['gear', 'instruments'],
  ]) {
    await card(page, before).getByLabel('Class name').fill(after);
    await page.keyboard.press('Enter');
    await page.waitForTimeout(5000);
    assert.ok(
      (await page.evaluate(classesKept)).some(({ name }) => name === after),
      `${after} is not kept`,
    );
  }
  await close();
  many.remove();
});

test('of many photos only those in view are drawn, and the keyboard reaches the last', limit, async () => {
  const { page, close } = await openPage(browser, server.url);
  const files = readdirSync(path.join(samples, 'fishes')).map((file) => path.join(samples, 'fishes', file));
  await page.getByRole('button', { name: 'Add a class' }).click();
  for (let i = 1; i <= 6; ++i) {
    await page.getByLabel('Add images to Class 1').setInputFiles(files);
    await page.getByText(`${files.length * i} images in 1 class`).waitFor();
  }
  const count = files.length * 6;
  await page.getByRole('button', { name: `Show all ${count}` }).click();
  assert.ok((await photosOf(page, 'Class 1').count()) < count / 2);
  await page.getByRole('list', { name: 'Photos of Class 1' }).getByRole('button').first().focus();
  await page.keyboard.press('End');
  await page.waitForFunction((last) => document.activeElement?.closest('li')?.ariaPosInSet === String(last), count);
  assert.equal(
    await page.evaluate(() => document.activeElement?.getAttribute('aria-label')),
    `Remove ${path.basename(files.at(-1))}`,
  );
  await page.keyboard.press('Delete');
  await page.getByText(`${count - 1} images in 1 class`).waitFor();
  await close();
});

test('a small picture is its own thumbnail; one that browsers do not show gets one made', limit, async () => {
  mkdirSync(path.join(scratch, 'tiny', 'dots'), { recursive: true });
  const colour = (x, y) => [200 + x, 40 + y, 20];
  write('tiny/dots/a.png', png(28, 28, colour));
  const points = Array.from({ length: 28 * 28 }, (_, i) => colour(i % 28, Math.floor(i / 28))).flat();
  write('tiny/dots/b.ppm', Buffer.concat([Buffer.from('P6 28 28 255\n'), Buffer.from(points)]));

  const { page, close } = await openPage(browser, server.url);
  await page.getByLabel('Choose a folder').setInputFiles(path.join(scratch, 'tiny'));
  const seen = async (name) =>
    page.getByRole('img', { name, exact: true }).evaluate(async (element) => {
      while (element.naturalWidth < 2) await new Promise((resolve) => setTimeout(resolve, 20));
      const context = new OffscreenCanvas(1, 1).getContext('2d');
      context.drawImage(element, 0, 0, 1, 1);
      return [element.naturalWidth, ...context.getImageData(0, 0, 1, 1).data];
    });
  const [shown, made] = [await seen('a.png'), await seen('b.ppm')];
  assert.equal(shown[0], 28);
  assert.equal(made[0], 144);
  for (const [i, value] of made.slice(1).entries())
    assert.ok(Math.abs(value - shown[i + 1]) < 12, `${made} where the picture has ${shown}`);
  await close();
});

test('a thumbnail shows the middle of its photo undistorted, whatever the photo’s shape', limit, async () => {
  // A light square in the middle, half as high as the photo's shorter side.
  const photo = (width, height) => {
    const half = Math.min(width, height) / 4;
    const isInside = (x, y) => Math.abs(x + 0.5 - width / 2) < half && Math.abs(y + 0.5 - height / 2) < half;
    // As rough as a photo: a file that compresses to little is its own thumbnail.
    const rough = (x, y) => Math.imul(x * 4096 + y + 1, 2654435761) >>> 27;
    return png(width, height, (x, y) => (isInside(x, y) ? [250, 240, 200 + rough(x, y)] : [20, 60, 90 + rough(x, y)]));
  };
  const shapes = [
    [320, 240],
    [240, 320],
    [200, 200],
    [900, 150],
  ];
  mkdirSync(path.join(scratch, 'shapes', 'light'), { recursive: true });
  for (const [width, height] of shapes) write(`shapes/light/${width}x${height}.png`, photo(width, height));

  const { page, close } = await openPage(browser, server.url);
  await page.getByLabel('Choose a folder').setInputFiles(path.join(scratch, 'shapes'));
  for (const [width, height] of shapes) {
    const name = `${width}x${height}.png`;
    const light = await page.getByRole('img', { name, exact: true }).evaluate(async (element) => {
      while (element.naturalWidth < 2) await new Promise((resolve) => setTimeout(resolve, 20));
      const { naturalWidth: side, naturalHeight } = element;
      if (side !== naturalHeight) throw new Error(`${side}x${naturalHeight}`);
      const context = new OffscreenCanvas(side, side).getContext('2d');
      context.drawImage(element, 0, 0);
      const { data } = context.getImageData(0, 0, side, side);
      const isLight = (x, y) => data[4 * (y * side + x)] > 128;
      const middle = side / 2;
      const places = Array.from({ length: side }, (_, i) => i);
      return [places.filter((x) => isLight(x, middle)).length, places.filter((y) => isLight(middle, y)).length, side];
    });
    const [across, down, side] = light;
    assert.ok(Math.abs(across - side / 2) <= 2 && Math.abs(down - side / 2) <= 2, `${name}: ${light}`);
  }
  await close();
});
