// Trains on more images than should be in memory and says how large native_train's resident set was. The images are hard links to the
// sample photos. By hand, as 200,000 images of 224x224 take 30 GB of disk:
//
//   node tests/large_data.mjs [--images 200000] [--cache-mb 512] [--limit-mb 1024] [--folder DIR] [--keep] [--again]
//
// --limit-mb: what the resident set may be at most. --folder: where links and decoded images lie, on the disk of the photos; it is removed
// in the end but for --keep. --again: trains a second time, from the decoded images.
import { spawn } from 'node:child_process';
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values } = parseArgs({
  options: {
    images: { type: 'string', default: '200000' },
    'cache-mb': { type: 'string', default: '512' },
    'limit-mb': { type: 'string', default: '1024' },
    folder: { type: 'string', default: path.join(root, 'build') },
    keep: { type: 'boolean' },
    again: { type: 'boolean' },
  },
});
const program = path.join(process.env.PINHOLE_NATIVE ?? path.join(root, 'build/native/native'), 'native_train');
const folder = mkdtempSync(path.join(values.folder, 'large-'));
process.on('exit', () => {
  if (!values.keep) rmSync(folder, { recursive: true, force: true });
});

// A network that takes no time, so that the images do.
const spec = {
  format: 'pinhole/1',
  name: 'Large',
  input: [224, 224, 3],
  layers: [
    { type: 'AvgPool2d', kernel_size: 16 },
    { type: 'Conv2d', name: 'conv', out_channels: 8, kernel_size: 3 },
    { type: 'ReLU' },
    { type: 'Flatten' },
    { type: 'Linear', name: 'fc', out_features: 'classes' },
    { type: 'Softmax' },
  ],
};
writeFileSync(path.join(folder, 'spec.json'), JSON.stringify(spec));
const photos = path.join(root, 'web/public/samples/photos');
const sources = readdirSync(photos, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .flatMap(({ name }) => readdirSync(path.join(photos, name)).map((file) => path.join(name, file)))
  .filter((file) => /\.jpe?g$/.test(file));
for (let i = 0; i < Number(values.images); ++i) {
  const source = sources[i % sources.length];
  const place = path.join(folder, 'images', path.dirname(source));
  if (i < sources.length) mkdirSync(place, { recursive: true });
  linkSync(path.join(photos, source), path.join(place, `${i}.jpg`));
}
console.log(`${values.images} links to ${sources.length} photos`);

/** Its largest resident set in bytes, and how much of it was not of files. */
function train(name) {
  const args = ['--data', path.join(folder, 'images'), '--model', path.join(folder, 'spec.json'), '--epochs', '1'];
  args.push('--out', path.join(folder, `${name}.safetensors`), '--cache-mb', values['cache-mb']);
  args.push('--cache-dir', path.join(folder, 'cache'), '--recipe', 'none');
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let [peak, anonymous] = [0, 0];
    const look = setInterval(() => {
      try {
        const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
        const kilobytes = (key) => Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0);
        peak = Math.max(peak, kilobytes('VmHWM') * 1024);
        anonymous = Math.max(anonymous, kilobytes('RssAnon') * 1024);
      } catch {
        // It has ended.
      }
    }, 50);
    child.stdout.setEncoding('utf8').on('data', (text) => process.stdout.write(text));
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      clearInterval(look);
      if (code !== 0) reject(new Error(`native_train ended with ${code ?? signal}`));
      else resolve({ peak, anonymous, seconds: (performance.now() - start) / 1000 });
    });
  });
}

const megabytes = (bytes) => `${(bytes / 1e6).toFixed(0)} MB`;
for (const name of values.again ? ['first', 'second'] : ['first']) {
  const { peak, anonymous, seconds } = await train(name);
  const cache = path.join(folder, 'cache');
  const size = existsSync(cache)
    ? readdirSync(cache).reduce((sum, file) => sum + statSync(path.join(cache, file)).size, 0)
    : 0;
  console.log(
    `${name}: ${seconds.toFixed(0)} s, decoded images ${megabytes(size)}, --cache-mb ${values['cache-mb']}, ` +
      `largest resident set ${megabytes(peak)} (without files ${megabytes(anonymous)})`,
  );
  if (peak > Number(values['limit-mb']) * 1e6) {
    console.log(`MORE THAN ${values['limit-mb']} MB`);
    process.exitCode = 1;
  }
}
if (values.again) {
  const [first, second] = ['first', 'second'].map((name) => readFileSync(path.join(folder, `${name}.safetensors`)));
  const same = first.equals(second);
  console.log(same ? 'the same bytes from the decoded images' : 'OTHER BYTES from the decoded images');
  if (!same) process.exitCode = 1;
}
