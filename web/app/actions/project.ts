// The project as a whole: brought back after a reload, and cleared for a new one.
import { batch } from '@preact/signals';
import { engine } from '../engine';
import * as state from '../state';
import { clearStore, openStore } from '../store/project';
import { announce } from './announce';
import { messageOf, showError } from './errors';
import { adoptModel, forgetModel } from './model';

export async function openProject(): Promise<void> {
  const model = await openStore();
  if (state.phase.value === 'interrupted') announce('A training was interrupted. It can go on.');
  if (!model) return;
  const { file, about } = model;
  try {
    const opened = await (await engine()).loadModel(file, about.fileName);
    await adoptModel(opened, about);
  } catch (error) {
    showError('model', `The model of your last visit could not be opened: ${messageOf(error)}`);
  }
}

export async function newProject(): Promise<void> {
  if (state.isBusy.value || state.reading.value) return;
  batch(() => {
    state.classes.value = [];
    state.undoStack.value = [];
    state.dismissedChange.value = null;
    state.readReport.value = null;
    state.chosenSettings.value = {};
    state.history.value = { planned: 0, steps: [], epochs: [] };
    state.bestEpoch.value = null;
    state.diverged.value = null;
    state.report.value = null;
    state.trainedOn.value = null;
    state.keptTraining.value = null;
    state.crossValidation.value = null;
    state.phase.value = 'idle';
  });
  try {
    await forgetModel();
    await clearStore();
    announce('A new project.');
  } catch (error) {
    showError('data', `The old project could not be deleted: ${messageOf(error)}`);
  }
}
