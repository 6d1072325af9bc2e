// Other ways to take the model away than its file: a page that classifies, and a card that says what it is.
import { arrived } from '../arrived';
import { percent } from '../components/words';
import { currentModel, takingAway, torchSource } from '../state';
import runtimeUrl from '../../engine/takeaway/runtime?worker&url';
import { download } from './download';
import { clearErrors, messageOf, showError } from './errors';
import { modelInUse } from './modelInUse';

/** One at a time; what goes wrong is said beside the buttons. */
async function takeAway(what: string, work: () => Promise<void>): Promise<void> {
  if (takingAway.value) return;
  clearErrors('model');
  takingAway.value = what;
  try {
    await work();
  } catch (error) {
    showError('model', messageOf(error));
  } finally {
    takingAway.value = null;
  }
}

/** MultiClassCNN.safetensors -> MultiClassCNN */
function baseName(): string {
  return (currentModel.value?.fileName ?? 'model').replace(/\.safetensors$/i, '');
}

export function saveHtml(): Promise<void> {
  return takeAway('html', async () => {
    const model = modelInUse();
    const facts = currentModel.value;
    if (!model || !facts) return;
    // Asked for here, so that it is said as elsewhere when it does not come.
    await arrived(import('../../engine/takeaway/exportHtml'));
    const text = await model.exportHtml({
      about: `Tells ${facts.classes.join(', ')} apart.${facts.validationAccuracy === null ? '' : ` Validation accuracy ${percent(facts.validationAccuracy)}.`}`,
      threshold: facts.threshold,
      runtimeUrl: new URL(runtimeUrl, document.baseURI),
    });
    download(text, `${baseName()}.html`, 'text/html');
  });
}

/** `whole`: it takes pictures of any size as they are; otherwise what the network takes. */
export function saveOnnx(whole: boolean): Promise<void> {
  return takeAway('onnx', async () => {
    const model = modelInUse();
    if (!model) return;
    const file = await model.exportOnnx({ form: whole ? 'classifier' : 'network' });
    download(file, `${baseName()}${whole ? '-classifier' : ''}.onnx`, 'application/octet-stream');
  });
}

/** The file reads its weights from the model file, by the name that it is saved with. */
export function showTorch(): Promise<void> {
  return takeAway('torch', async () => {
    const weights = currentModel.value?.fileName;
    const text = weights && (await modelInUse()?.exportTorch({ weights }));
    if (text) torchSource.value = { text, fileName: `${baseName()}.py` };
  });
}

export function closeTorch(): void {
  torchSource.value = null;
}

export function saveTorch(): void {
  if (torchSource.value) download(torchSource.value.text, torchSource.value.fileName, 'text/x-python');
}

export function saveCard(): Promise<void> {
  return takeAway('card', async () => {
    const model = modelInUse();
    const facts = currentModel.value;
    if (!model || !facts) return;
    const { modelCard } = await arrived(import('../takeaway/card'));
    const { name, classes, parameters, input, layers } = model.summary();
    const card = modelCard({
      name,
      classes,
      parameters,
      input,
      layers,
      fileName: facts.fileName,
      training: model.training,
      date: new Date().toISOString().slice(0, 10),
    });
    download(card, `${baseName()}.md`, 'text/markdown');
  });
}
