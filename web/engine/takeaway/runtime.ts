// What runs in the self-contained HTML file: the core's plain SIMD build, which the file carries, and a page that classifies with it.
// Nothing is fetched: the file's Content-Security-Policy forbids it. Built into one script; see html.ts for the document around it.
import { decodeInBrowser, mostPixels } from '../browserImage.js';
import type { Core, CoreBackend, CoreFactory, CoreImage, CoreModel } from '../core.js';

declare global {
  /** The core's module, which a script before this one has left here. */
  var createPinhole: CoreFactory;
}

interface Facts {
  readonly classes: readonly string[];
  readonly threshold: number;
}

function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the file has no #${id}`);
  return found;
}

/** What a data block of the document holds. */
function bytesIn(id: string): Uint8Array<ArrayBuffer> {
  const text = atob(byId(id).textContent.trim());
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; ++i) bytes[i] = text.charCodeAt(i);
  return bytes;
}

const facts = JSON.parse(byId('facts').textContent) as Facts;
const status = byId('status');
const results = byId('results');

interface Classifier {
  readonly core: Core;
  readonly model: CoreModel;
}

async function start(): Promise<Classifier> {
  const core = await createPinhole({ pthreadPoolSize: 0, wasmBinary: bytesIn('wasm') });
  const backend: CoreBackend = core.Backend.create('auto', 1);
  return { core, model: core.Model.load(backend, bytesIn('model'), 'the model') };
}

function probabilitiesOf({ model }: Classifier, image: CoreImage): Float32Array {
  try {
    return model.classify(image);
  } finally {
    image.delete();
  }
}

async function imageOf({ core }: Classifier, file: Blob): Promise<CoreImage> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const pixels = await decodeInBrowser(bytes, mostPixels);
  if (!pixels) return core.Image.decode(bytes, mostPixels);
  return core.Image.fromRgba(new Uint8Array(pixels.data.buffer), pixels.width, pixels.height);
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

/** Draws the answer into `place`. */
function show(place: HTMLElement, name: string, probabilities: Float32Array): string {
  const best = probabilities.indexOf(Math.max(...probabilities));
  const isSure = probabilities[best]! >= facts.threshold;
  const label = facts.classes[best] ?? '';
  const title = document.createElement('h2');
  title.textContent = isSure ? label : `Not sure (${label}?)`;
  const from = document.createElement('p');
  from.textContent = name;
  const list = document.createElement('ul');
  list.setAttribute('aria-label', 'Probabilities');
  facts.classes.forEach((className, c) => {
    const item = document.createElement('li');
    const words = document.createElement('span');
    words.textContent = className;
    const value = document.createElement('span');
    value.textContent = percent(probabilities[c]!);
    const meter = document.createElement('meter');
    meter.value = probabilities[c]!;
    meter.setAttribute('aria-label', className);
    item.append(words, value, meter);
    list.append(item);
  });
  place.replaceChildren(title, from, list);
  return `${name}: ${title.textContent}, ${percent(probabilities[best]!)}`;
}

async function classify(by: Classifier, files: Iterable<File>): Promise<void> {
  for (const file of files) {
    const article = document.createElement('article');
    article.setAttribute('aria-label', file.name);
    const picture = document.createElement('img');
    picture.alt = file.name;
    picture.src = URL.createObjectURL(file);
    const answer = document.createElement('div');
    article.append(picture, answer);
    results.prepend(article);
    try {
      status.textContent = show(answer, file.name, probabilitiesOf(by, await imageOf(by, file)));
    } catch (error) {
      answer.textContent = `${file.name}: ${error instanceof Error ? error.message : String(error)}`;
      status.textContent = answer.textContent;
    }
  }
}

function imagesOf(transfer: DataTransfer | null): File[] {
  return Array.from(transfer?.files ?? []);
}

async function camera(by: Classifier, button: HTMLButtonElement): Promise<void> {
  const stream = await navigator.mediaDevices.getUserMedia({ video: true });
  const video = byId('video') as HTMLVideoElement;
  video.srcObject = stream;
  video.hidden = false;
  await video.play();
  const answer = byId('live');
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true })!;
  let isOn = true;
  button.textContent = 'Stop the camera';
  button.onclick = () => (isOn = false);
  while (isOn) {
    const [width, height] = [video.videoWidth, video.videoHeight];
    canvas.canvas.width = width;
    canvas.canvas.height = height;
    canvas.drawImage(video, 0, 0);
    const { data } = canvas.getImageData(0, 0, width, height);
    show(answer, 'The camera', probabilitiesOf(by, by.core.Image.fromRgba(new Uint8Array(data.buffer), width, height)));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  for (const track of stream.getTracks()) track.stop();
  video.hidden = true;
  answer.replaceChildren();
  offerCamera(by, button);
}

function offerCamera(by: Classifier, button: HTMLButtonElement): void {
  button.textContent = 'Use the camera';
  button.disabled = false;
  button.onclick = () => {
    camera(by, button).catch((error: unknown) => {
      status.textContent = `The camera could not be opened: ${error instanceof Error ? error.message : String(error)}`;
      offerCamera(by, button);
    });
  };
}

start().then(
  (by) => {
    status.textContent = 'Ready.';
    const input = byId('file') as HTMLInputElement;
    input.disabled = false;
    input.onchange = () => void classify(by, Array.from(input.files ?? []));
    offerCamera(by, byId('camera') as HTMLButtonElement);
    document.ondragover = (event) => {
      event.preventDefault();
    };
    document.ondrop = (event) => {
      event.preventDefault();
      void classify(by, imagesOf(event.dataTransfer));
    };
    document.onpaste = (event) => void classify(by, imagesOf(event.clipboardData));
  },
  (error: unknown) => {
    status.textContent = `This file cannot classify here: ${error instanceof Error ? error.message : String(error)}`;
  },
);
