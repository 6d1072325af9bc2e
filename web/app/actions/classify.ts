// Shows pictures to the model in use: files, one or many, and the camera's frames.
import type { ImageSource, Model } from '../../engine/index';
import { percent } from '../components/words';
import { camera, openCamera, type CameraStream } from '../camera';
import { csvOf } from '../evaluation/csv';
import type { FoundFiles } from '../files/folders';
import {
  classifying,
  currentModel,
  heatMap,
  liveAnswer,
  predictions,
  shownPrediction,
  showsHeatMap,
  type LabelledProbability,
  type Prediction,
} from '../state';
import { announce } from './announce';
import { download } from './download';
import { clearErrors, messageOf, showError } from './errors';
import { modelToAsk } from './modelInUse';

let nextPredictionId = 1;
let stopAsked = false;

/** Results that are kept; older ones make room. */
const keptPredictions = 10_000;
/** So many are classified between two redraws. */
const redrawEvery = 8;

/** What was found in a drop or a zip, where folders stand for the images in them. */
export async function classifyFound(found: Promise<FoundFiles>): Promise<void> {
  try {
    const files = (await found).groups.flatMap((group) => group.files);
    await classifyFiles(await Promise.all(files.map(async ({ name, open }) => new File([await open()], name))));
  } catch (error) {
    showError('classify', messageOf(error));
  }
}

/** Pictures on the clipboard; false when there is none. */
export function classifyPasted(transfer: DataTransfer | null): boolean {
  const files = Array.from(transfer?.files ?? []).filter(({ type }) => type.startsWith('image/'));
  if (files.length === 0) return false;
  void classifyFiles(files);
  return true;
}

export async function classifyFiles(files: readonly File[]): Promise<void> {
  const model = modelToAsk();
  if (!model) {
    showError('classify', 'There is no model yet: train one, or open a file.');
    return;
  }
  if (classifying.value || files.length === 0) return;
  clearErrors('classify');
  stopAsked = false;
  classifying.value = { done: 0, total: files.length };
  const failed: string[] = [];
  let batch: Prediction[] = [];
  let last: Prediction | undefined;
  let done = 0;
  const show = (): void => {
    if (batch.length === 0 || modelToAsk() !== model) return;
    keep(batch);
    batch = [];
  };
  try {
    for (const file of files) {
      if (stopAsked || modelToAsk() !== model) break;
      try {
        last = await predictionOf(model, file);
        batch.push(last);
      } catch (error) {
        failed.push(withName(file.name, messageOf(error)));
      }
      if (++done % redrawEvery === 0) {
        show();
        classifying.value = { done, total: files.length };
      }
    }
    show();
  } finally {
    classifying.value = null;
  }
  const next = modelToAsk();
  // Another model came meanwhile, and what the one before said is gone: the new one is shown them all.
  if (next && next !== model && !stopAsked) return classifyFiles(files);
  if (failed.length > 0) showError('classify', ...failed);
  if (!last || next !== model) return;
  showPrediction(last.id);
  const best = bestOf(last.probabilities);
  announce(
    files.length > 1
      ? `${done} pictures classified.`
      : `${last.name}: ${isSure(best) ? '' : 'not sure, perhaps '}${best.label}, ${percent(best.probability)}.`,
  );
}

export function stopClassifying(): void {
  stopAsked = true;
}

async function predictionOf(by: Model, file: File): Promise<Prediction> {
  const probabilities = await probabilitiesOf(by, file);
  return { id: nextPredictionId++, name: file.name, file, picture: URL.createObjectURL(file), probabilities };
}

/** In the model's order, so that bars keep their places from picture to picture. */
async function probabilitiesOf(by: Model, image: ImageSource): Promise<LabelledProbability[]> {
  const of = new Map((await by.classify(image)).map(({ label, probability }) => [label, probability]));
  return by.classes.map((label) => ({ label, probability: of.get(label) ?? 0 }));
}

function keep(some: readonly Prediction[]): void {
  const kept = [...[...some].reverse(), ...predictions.value];
  for (const { picture } of kept.slice(keptPredictions)) URL.revokeObjectURL(picture);
  predictions.value = kept.slice(0, keptPredictions);
  shownPrediction.value = some.at(-1)!.id;
}

export function bestOf(probabilities: readonly LabelledProbability[]): LabelledProbability {
  return probabilities.reduce((a, b) => (b.probability > a.probability ? b : a));
}

/** Above the threshold that was fitted on the validation part. */
export function isSure({ probability }: LabelledProbability): boolean {
  return probability >= (currentModel.value?.threshold ?? 0);
}

export function showPrediction(id: number): void {
  shownPrediction.value = id;
  if (showsHeatMap.value) void drawHeatMap();
}

export function toggleHeatMap(): void {
  showsHeatMap.value = !showsHeatMap.value;
  if (showsHeatMap.value) void drawHeatMap();
}

/** What in the picture speaks for its most probable class. */
async function drawHeatMap(): Promise<void> {
  const model = modelToAsk();
  const shown = predictions.value.find(({ id }) => id === shownPrediction.value);
  if (!model || !shown || heatMap.value?.id === shown.id) return;
  heatMap.value = null;
  const { label } = bestOf(shown.probabilities);
  try {
    const map = await model.heatMap(shown.file, label);
    if (shownPrediction.value === shown.id) heatMap.value = { id: shown.id, label, ...map };
  } catch (error) {
    showsHeatMap.value = false;
    showError('classify', messageOf(error));
  }
}

export function forgetPredictions(): void {
  stopCamera();
  for (const { picture } of predictions.value) URL.revokeObjectURL(picture);
  predictions.value = [];
  shownPrediction.value = null;
  heatMap.value = null;
}

export function saveCsv(): void {
  const model = currentModel.value;
  if (!model) return;
  download(csvOf(model.classes, [...predictions.value].reverse(), model.threshold), 'classified.csv', 'text/csv');
}

/** The core's sentences may or may not begin with the file's name. */
function withName(name: string, sentence: string): string {
  return sentence.includes(name) ? sentence : `${name}: ${sentence}`;
}

// ---------------------------------------------------------------- the camera

let stream: CameraStream | null = null;

export async function startCamera(): Promise<void> {
  const model = modelToAsk();
  if (!model || stream) return;
  clearErrors('classify');
  try {
    stream = await openCamera();
  } catch (error) {
    showError('classify', `The camera could not be opened: ${messageOf(error)}.`);
    return;
  }
  camera.value = stream;
  announce('The camera is on.');
  const own = stream;
  try {
    // One frame at a time, as fast as the model answers.
    while (stream === own && modelToAsk() === model) {
      const frame = await own.frame();
      if (!frame) continue;
      const probabilities = await probabilitiesOf(model, frame);
      if (stream === own) liveAnswer.value = probabilities;
    }
  } catch (error) {
    if (stream === own) showError('classify', messageOf(error));
  } finally {
    if (stream === own) stopCamera();
  }
}

export function stopCamera(): void {
  if (!stream) return;
  stream.stop();
  stream = null;
  camera.value = null;
  liveAnswer.value = null;
}
