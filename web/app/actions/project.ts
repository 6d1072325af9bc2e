// The project as a whole: brought back after a reload, and cleared for a new one.
import { batch } from '@preact/signals';
import { engine } from '../engine';
import * as state from '../state';
import { bringBack, clearStore, nothingKept, openStore } from '../store/project';
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
    bringBack(nothingKept);
    state.undoStack.value = [];
    state.dismissedChange.value = null;
    state.readReport.value = null;
    state.diverged.value = null;
    state.firstAnswer.value = null;
    state.keptTraining.value = null;
  });
  try {
    await forgetModel();
    await clearStore();
    announce('A new project.');
  } catch (error) {
    showError('data', `The old project could not be deleted: ${messageOf(error)}`);
  }
}
