// The model that classifies: takes over the one just trained, opens and saves files, classifies pictures.
import type { Model } from '../../engine/index';
import { percent } from '../components/words';
import { engine } from '../engine';
import { inputInWords } from '../models';
import { classifying, currentModel, predictions, shownPrediction, type CurrentModel, type Prediction } from '../state';
import { announce } from './announce';
import { clearErrors, messageOf, showError } from './errors';

let model: Model | null = null;
let nextPredictionId = 1;

/** Pictures that stay in the row of those classified. */
const keptPredictions = 12;

export async function adoptModel(
  next: Model,
  { origin, fileName }: Pick<CurrentModel, 'origin' | 'fileName'>,
): Promise<void> {
  const before = model;
  model = next;
  forgetPredictions();
  const { name, classes, input, parameters } = next.summary();
  currentModel.value = {
    name,
    classes,
    input: inputInWords(input),
    parameters,
    origin,
    fileName,
    validationAccuracy: recordedAccuracy(next),
  };
  if (before && before !== next) await before.dispose();
}

/** What the file says of itself; nothing is taken for granted, because files come from anywhere. */
function recordedAccuracy({ training }: Model): number | null {
  const { validation } = training;
  if (typeof validation !== 'object' || validation === null || !('accuracy' in validation)) return null;
  const { accuracy } = validation;
  return typeof accuracy === 'number' && accuracy >= 0 && accuracy <= 1 ? accuracy : null;
}

export async function openModel(file: File): Promise<void> {
  clearErrors('model');
  try {
    const opened = await (await engine()).loadModel(file, file.name);
    await adoptModel(opened, { origin: 'opened', fileName: file.name });
    announce(`${opened.summary().name} opened. It knows ${opened.classes.join(', ')}.`);
  } catch (error) {
    showError('model', messageOf(error));
  }
}

export async function saveModel(): Promise<void> {
  if (!model || !currentModel.value) return;
  clearErrors('model');
  try {
    const bytes = await model.save();
    const url = URL.createObjectURL(new Blob([bytes as Uint8Array<ArrayBuffer>], { type: 'application/octet-stream' }));
    const link = document.createElement('a');
    link.href = url;
    link.download = currentModel.value.fileName;
    link.click();
    // The download has its own hold on the Blob once it has begun.
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
    announce(`${currentModel.value.fileName} saved.`);
  } catch (error) {
    showError('model', messageOf(error));
  }
}

export async function classifyFiles(files: readonly File[]): Promise<void> {
  if (!model) {
    showError('classify', 'There is no model yet: train one, or open a file.');
    return;
  }
  clearErrors('classify');
  classifying.value = true;
  const failed: string[] = [];
  let last: Prediction | undefined;
  try {
    for (const file of files.slice(-keptPredictions)) {
      try {
        last = await classify(model, file);
      } catch (error) {
        failed.push(withName(file.name, messageOf(error)));
      }
    }
  } finally {
    classifying.value = false;
  }
  if (failed.length > 0) showError('classify', ...failed);
  const best = last?.probabilities.reduce((a, b) => (b.probability > a.probability ? b : a));
  if (last && best) announce(`${last.name}: ${best.label}, ${percent(best.probability)}.`);
}

async function classify(by: Model, file: File): Promise<Prediction> {
  const answers = await by.classify(file);
  const of = new Map(answers.map(({ label, probability }) => [label, probability]));
  const prediction: Prediction = {
    id: nextPredictionId++,
    name: file.name,
    picture: URL.createObjectURL(file),
    // In the model's order, so that bars keep their places from picture to picture.
    probabilities: by.classes.map((label) => ({ label, probability: of.get(label) ?? 0 })),
  };
  const kept = [prediction, ...predictions.value];
  for (const { picture } of kept.slice(keptPredictions)) URL.revokeObjectURL(picture);
  predictions.value = kept.slice(0, keptPredictions);
  shownPrediction.value = prediction.id;
  return prediction;
}

export function showPrediction(id: number): void {
  shownPrediction.value = id;
}

function forgetPredictions(): void {
  for (const { picture } of predictions.value) URL.revokeObjectURL(picture);
  predictions.value = [];
  shownPrediction.value = null;
}

/** The core's sentences may or may not begin with the file's name. */
function withName(name: string, sentence: string): string {
  return sentence.includes(name) ? sentence : `${name}: ${sentence}`;
}
