// Data sets: images in, labels, counts, pixels, splits; what cannot be read is told, not thrown away in silence.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { load, noiseDataset, noiseImage, photos, png } from './support.mjs';

let pinhole;
before(async () => {
  pinhole = await load({ variant: 'simd' });
});
after(() => {
  pinhole.dispose();
});

const classes = ['cat', 'dog'];
const emptySet = (input = [2, 3, 3]) => pinhole.createDataset({ classes, input });

test('a PNG file, a Blob, an ArrayBuffer and pixels all give the same image', async () => {
  const data = await emptySet();
  const colour = (x, y) => [10 + 50 * x, 20 + 100 * y, 5 * x + y];
  const file = png(3, 2, colour);
  const rgba = {
    data: new Uint8ClampedArray([0, 1].flatMap((y) => [0, 1, 2].flatMap((x) => [...colour(x, y), 255]))),
    width: 3,
    height: 2,
  };
  const bytes = Uint8Array.from(file);
  await data.add(file, 'cat', 'from a Buffer');
  await data.add(bytes.buffer, 1);
  await data.add(new File([bytes], 'photo.png'), 'dog');
  await data.add(new Blob([bytes]), 0);
  await data.addRgba(rgba, 0, 'pixels');
  const expected = [0, 1].flatMap((y) => [0, 1, 2].flatMap((x) => colour(x, y)));
  assert.equal(data.size, 5);
  for (let i = 0; i < 5; ++i) {
    const pixels = await data.pixels(i);
    assert.deepEqual({ ...pixels, data: [...pixels.data] }, { data: expected, height: 2, width: 3, channels: 3 });
  }
  assert.deepEqual(await data.entries(), [
    { label: 0, name: 'from a Buffer' },
    { label: 1, name: '' },
    { label: 1, name: 'photo.png' },
    { label: 0, name: '' },
    { label: 0, name: 'pixels' },
  ]);
  assert.deepEqual(await data.counts(), [3, 2]);
  const shown = await data.rgba(4);
  assert.deepEqual(shown, rgba);
});

test('rgba repeats the value of a grey image', async () => {
  const data = await pinhole.createDataset({ classes, input: [1, 2, 1] });
  await data.add(
    png(2, 1, (x) => [100 + x, 100 + x, 100 + x]),
    0,
  );
  assert.deepEqual([...(await data.rgba(0)).data], [100, 100, 100, 255, 101, 101, 101, 255]);
});

test('an image that cannot be read is an Error for add, and a name and a reason for addMany', async () => {
  const data = await emptySet();
  const [photo] = photos(['fishes'], 1);
  const broken = {
    'text.jpg': new TextEncoder().encode('this is a text file that somebody renamed\n'),
    'empty.jpg': new Uint8Array(),
    'cut.jpg': photo.bytes.subarray(0, photo.bytes.length / 2),
    'cut.png': png(40, 40, () => [1, 2, 3]).subarray(0, 60),
    'webp.webp': Buffer.from('RIFF\x24\0\0\0WEBPVP8 \0\0\0\0', 'latin1'),
  };
  for (const [name, image] of Object.entries(broken)) {
    await assert.rejects(
      data.add(image, 0, name),
      (error) => error instanceof Error && error.message.length > 5 && !error.message.includes('\n'),
    );
  }
  const items = [
    ...Object.entries(broken).map(([name, image]) => ({ name, image, label: 0 })),
    { ...photo, image: photo.bytes, label: 1 },
  ];
  const { added, skipped } = await data.addMany(items);
  assert.equal(added, 1);
  assert.equal(data.size, 1);
  assert.deepEqual(
    skipped.map(({ name }) => name),
    Object.keys(broken),
  );
  const reasons = Object.fromEntries(skipped.map(({ name, reason }) => [name, reason]));
  assert.match(reasons['text.jpg'], /not an image/);
  assert.match(reasons['empty.jpg'], /empty/);
  assert.match(reasons['cut.jpg'], /truncated|damaged/);
  assert.match(reasons['webp.webp'], /WebP/);
});

test('pixels whose number does not fit their size are an Error', async () => {
  const data = await emptySet();
  const rgba = new Uint8ClampedArray(16);
  await assert.rejects(data.addRgba({ data: rgba, width: 3, height: 2 }, 0), {
    message: 'pixels expected width x height x 4 bytes, got 16 bytes for 3x2',
  });
  await assert.rejects(
    data.addRgba({ data: rgba, width: 0, height: 0 }, 0),
    /width expected a whole number of 1 or more, got 0/,
  );
});

test('pixels without an alpha channel are the same image as with one', async () => {
  const data = await emptySet([12, 12, 3]);
  const { data: rgba, ...size } = noiseImage(0, 1);
  const [rgb, grey] = [rgba.filter((_, i) => i % 4 < 3), rgba.filter((_, i) => i % 4 === 0)];
  await data.add({ data: grey, ...size, channels: 1 }, 0);
  await data.add({ data: rgb, ...size, channels: 3 }, 0);
  await data.addRgba({ data: rgba, ...size }, 0);
  assert.deepEqual(
    (await data.pixels(0)).data,
    Uint8Array.from(rgb, (_, i) => grey[Math.floor(i / 3)]),
  );
  assert.deepEqual((await data.pixels(1)).data, Uint8Array.from(rgb));
  assert.deepEqual((await data.pixels(2)).data, Uint8Array.from(rgb));
  await assert.rejects(data.add({ data: rgba, ...size, channels: 4 }, 0), {
    message: 'channels expected 1 (grey) or 3 (RGB), got 4',
  });
  await assert.rejects(data.add({ data: grey, ...size, channels: 3 }, 0), {
    message: 'pixels expected width x height x 3 bytes, got 144 bytes for 12x12',
  });
});

test('images are copied, or handed over where the caller says so', async () => {
  const data = await emptySet();
  const [photo] = photos(['fishes'], 1);
  const bytes = new Uint8Array(photo.bytes);
  const { data: pixels, ...size } = noiseImage(0, 1);
  const both = new Uint8Array([...pixels, ...pixels]);
  const items = [
    { image: bytes, label: 0 },
    { image: bytes.buffer, label: 0 },
    // Two images in one buffer, and one that is none.
    { image: { data: both.subarray(0, pixels.length), ...size }, label: 1 },
    { image: { data: both.subarray(pixels.length), ...size }, label: 1 },
    { image: 'photo.jpg', label: 1 },
  ];
  assert.equal((await data.addMany(items)).added, 4);
  assert.deepEqual([bytes.length, both.length], [photo.bytes.length, 2 * pixels.length]);
  assert.equal((await data.addMany(items, { transfer: true })).added, 4);
  assert.deepEqual([bytes.length, both.length], [0, 0]);
  for (let i = 0; i < 4; ++i) assert.deepEqual((await data.pixels(i)).data, (await data.pixels(i + 4)).data);
});

test('a label that does not exist is an Error that names the classes', async () => {
  const data = await emptySet();
  for (const label of ['cow', 2, -1, 0.5, undefined]) {
    await assert.rejects(data.add(noiseImage(0, 1), label), {
      message: `label expected one of cat, dog or its index, got ${typeof label === 'string' ? `"${label}"` : label}`,
    });
  }
});

test('an image that is no image at all is an Error', async () => {
  const data = await emptySet();
  for (const image of ['photo.jpg', 7, null, undefined, [1, 2], {}])
    await assert.rejects(data.add(image, 0), /expected bytes/, String(image));
});

test('addMany tells its progress and stops between two images when it is aborted', async () => {
  const data = await emptySet();
  const items = Array.from({ length: 20_000 }, (_, i) => ({ image: noiseImage(0, i % 7), label: 0 }));
  const seen = [];
  await data.addMany(items.slice(0, 50), {
    onProgress: (progress) => {
      seen.push(progress);
    },
  });
  assert.deepEqual(seen.at(-1), { done: 50, total: 50 });
  const controller = new AbortController();
  const adding = data.addMany(items, {
    signal: controller.signal,
    onProgress: () => {
      controller.abort();
    },
  });
  await assert.rejects(adding, { name: 'AbortError' });
  assert.ok(data.size > 50 && data.size < 20_050, `${data.size} images`);
  assert.equal((await data.entries()).length, data.size);
});

test('a data set must have a possible size and class names', async () => {
  await assert.rejects(
    pinhole.createDataset({ classes, input: [0, 3, 3] }),
    /height expected a whole number of 1 or more, got 0/,
  );
  await assert.rejects(pinhole.createDataset({ classes: [], input: [2, 2, 3] }), Error);
  await assert.rejects(pinhole.createDataset({ classes: [1, 2], input: [2, 2, 3] }), Error);
});

test('an index beyond the last image is an Error', async () => {
  const data = await noiseDataset(pinhole, { perClass: 1 });
  await assert.rejects(data.pixels(3), { message: 'the data set has 3 images, there is no image 3' });
  await assert.rejects(data.subset([0, 7]), { message: 'the data set has 3 images, there is no image 7' });
  await assert.rejects(data.subset([-1]), /index expected a whole number/);
});

test('subset takes images in the given order, from images that are still being added too', async () => {
  const data = await pinhole.createDataset({ classes: ['red', 'green', 'blue'], input: [12, 12, 3] });
  const adding = data.addMany(
    [0, 1, 2].map((label) => ({ image: noiseImage(label, 5), label, name: `image ${label}` })),
  );
  const part = await data.subset([2, 0]);
  await adding;
  assert.deepEqual(await part.entries(), [
    { label: 2, name: 'image 2' },
    { label: 0, name: 'image 0' },
  ]);
  assert.deepEqual((await part.pixels(0)).data, (await data.pixels(2)).data);
  assert.deepEqual(part.classes, data.classes);
});

test('split divides every class, shares no image, and is the same for the same seed', async () => {
  const data = await noiseDataset(pinhole, { perClass: 10 });
  const names = async ({ train, val }) => [
    (await train.entries()).map(({ name }) => name),
    (await val.entries()).map(({ name }) => name),
  ];
  const first = await data.split(0.3, 7);
  assert.deepEqual(await first.train.counts(), [7, 7, 7]);
  assert.deepEqual(await first.val.counts(), [3, 3, 3]);
  const [train, val] = await names(first);
  assert.deepEqual([...train, ...val].sort(), (await data.entries()).map(({ name }) => name).sort());
  assert.deepEqual(await names(await data.split(0.3, 7)), [train, val]);
  assert.notDeepEqual(await names(await data.split(0.3, 8)), [train, val]);
  await assert.rejects(data.split(1), Error);
  await assert.rejects(data.split(0.2, -1), /seed expected a whole number of 0 or more/);
});

test('a disposed data set says so, and disposing twice is harmless', async () => {
  const data = await emptySet();
  await data.dispose();
  await data.dispose();
  await assert.rejects(data.counts(), { message: 'this data set was disposed of' });
  await assert.rejects(data.add(noiseImage(0, 1), 0), { message: 'this data set was disposed of' });
});
