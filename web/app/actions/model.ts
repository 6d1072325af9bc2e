// Takes over the model just trained, opens files and saves them.
import { arrived } from '../arrived';
import type { Model, Pinhole } from '../../engine/index';
import { engine } from '../engine';
import { inputInWords } from '../models';
import { keepModel, type Kept } from '../store/project';
import { currentModel, type CurrentModel } from '../state';
import { announce } from './announce';
import { forgetPredictions } from './classify';
import { clearErrors, messageOf, showError } from './errors';
import { download } from './download';
import { modelInUse, useModel } from './modelInUse';

/** `changes`: what becomes true of the project together with it, in one go. */
export async function adoptModel(
  next: Model,
  { origin, fileName }: Pick<CurrentModel, 'origin' | 'fileName'>,
  changes: Partial<Kept> = {},
): Promise<void> {
  const { name, classes, input, parameters } = next.summary();
  const about: CurrentModel = {
    name,
    classes,
    input: inputInWords(input),
    parameters,
    origin,
    fileName,
    isCropping: next.spec.crop !== undefined,
    validationAccuracy: share(next.training.validation, 'accuracy'),
    threshold: share(next.training.calibration, 'threshold') ?? 0,
    temperature: number(next.training.calibration, 'temperature') ?? 1,
  };
  const before = useModel(next);
  forgetPredictions();
  await keepModel(next, { ...changes, currentModel: about });
  if (before && before !== next) await before.dispose();
}

/** The same model in another engine; what the page shows of it stays. */
export async function moveModelTo(pinhole: Pinhole, file: Uint8Array): Promise<void> {
  useModel(await pinhole.loadModel(file));
}

/** What the file says of itself; nothing is taken for granted, because files come from anywhere. */
function number(of: unknown, key: string): number | null {
  if (typeof of !== 'object' || of === null) return null;
  const value = (of as Record<string, unknown>)[key];
  return typeof value === 'number' && value > 0 && value < 1e6 ? value : null;
}

function share(of: unknown, key: string): number | null {
  const value = number(of, key);
  return value !== null && value <= 1 ? value : null;
}

/** By the same model in another file. What is shown of it is the caller's business. */
export async function replaceModel(next: Model): Promise<void> {
  const before = useModel(next);
  await keepModel(next);
  if (before && before !== next) await before.dispose();
}

export async function forgetModel(): Promise<void> {
  const before = useModel(null);
  currentModel.value = null;
  forgetPredictions();
  await before?.dispose();
}

/** A .safetensors file, or what Teachable Machine gives: a zip, or the files in it. */
export async function openModel(files: readonly File[]): Promise<void> {
  clearErrors('model');
  try {
    const { openedModel } = await arrived(import('../files/openedModel'));
    const { model, fileName } = await openedModel(await engine(), files);
    await adoptModel(model, { origin: 'opened', fileName });
    announce(`${model.summary().name} opened. It knows ${model.classes.join(', ')}.`);
  } catch (error) {
    showError('model', messageOf(error));
  }
}

export async function saveModel(): Promise<void> {
  const model = modelInUse();
  if (!model || !currentModel.value) return;
  clearErrors('model');
  try {
    download(await model.save(), currentModel.value.fileName, 'application/octet-stream');
  } catch (error) {
    showError('model', messageOf(error));
  }
}
