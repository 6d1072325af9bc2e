// A class that is renamed stays the same class to the model that was trained with it: only the name in its file changes.
import { renamedModelFile } from '../files/safetensors';
import { engine } from '../engine';
import { currentModel, predictions, report } from '../state';
import { showError, messageOf } from './errors';
import { replaceModel } from './model';
import { modelInUse } from './modelInUse';

let before: Promise<void> = Promise.resolve();

/** Old names and new ones. Names that the model does not have, it does not get. */
export function renameInModel(names: ReadonlyMap<string, string>): void {
  if (names.size === 0) return;
  // One after the other: each starts from the file that the last one left.
  before = before.then(() => rename(names)).catch((error: unknown) => showError('model', messageOf(error)));
}

async function rename(names: ReadonlyMap<string, string>): Promise<void> {
  const model = modelInUse();
  const shown = currentModel.value;
  if (!model || shown?.origin !== 'trained') return;
  const newName = (name: string): string => names.get(name) ?? name;
  const classes = model.classes.map(newName);
  if (classes.every((name, c) => name === model.classes[c]) || new Set(classes).size < classes.length) return;
  const renamed = await (await engine()).loadModel(renamedModelFile(await model.save(), classes), shown.fileName);
  await replaceModel(renamed);
  currentModel.value = { ...shown, classes };
  if (report.value)
    report.value = {
      ...report.value,
      classes: report.value.classes.map(({ id, name }) => ({ id, name: newName(name) })),
    };
  predictions.value = predictions.value.map((one) => ({
    ...one,
    probabilities: one.probabilities.map(({ label, ...rest }) => ({ label: newName(label), ...rest })),
  }));
}
