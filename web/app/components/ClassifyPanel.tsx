// Step 3: show the model a picture, many, or the camera; save it or open another.
import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import { arrived } from '../arrived';
import { camera } from '../camera';
import { classifyFiles, classifyFound, classifyPasted, startCamera, stopClassifying } from '../actions/classify';
import { openModel } from '../actions/model';
import { filesOfInput, filesOfTransfer, isZip } from '../files/folders';
import { classes, classifying, currentModel, isLent, predictions } from '../state';
import { DropZone } from './DropZone';
import { FileButton } from './FileButton';
import { Icon } from './Icon';
import { Errors } from './Notice';
import { OpenButton } from './OpenButton';
import { Panel } from './Panel';
import { later } from './later';
import { plural } from './words';

const LiveCamera = later(() => import('./LiveCamera').then((part) => part.LiveCamera));
const ModelCard = later(() => import('./ModelCard').then((part) => part.ModelCard));
const Classified = later(() => import('./Classified').then((part) => part.Classified));

export function ClassifyPanel(): JSX.Element {
  const model = currentModel.value;
  usePaste();
  return (
    <Panel
      id="classify"
      number={3}
      title="Classify"
      summary={model ? plural(model.classes.length, 'class', 'classes') : null}
    >
      <DropZone class="stack" onDrop={dropped}>
        {model ? <ModelCard model={model} /> : isLent.value ? <StillLearning /> : <NoModel />}
        <Errors place="model" />
        {(model || isLent.value) &&
          (camera.value ? <LiveCamera /> : <PicturePicker isFirst={predictions.value.length === 0} />)}
        <Working />
        <Errors place="classify" />
        {predictions.value.length > 0 && <Classified />}
      </DropZone>
    </Panel>
  );
}

function dropped(transfer: DataTransfer): void {
  const files = Array.from(transfer.files);
  const [first] = files;
  if (files.some(({ name }) => /(\.safetensors|^model\.json)$/i.test(name))) void openModel(files);
  else if (first && files.length === 1 && isZip(first)) void openZip(first);
  else void classifyFound(filesOfTransfer(transfer));
}

/** A model of Teachable Machine, or pictures. */
async function openZip(zip: File): Promise<void> {
  const isModel = await arrived(import('../files/openedModel'))
    .then(({ holdsModel }) => holdsModel(zip))
    .catch(() => false); // why it cannot be read is said where its pictures are looked for
  await (isModel ? openModel([zip]) : classifyFound(filesOfInput([zip])));
}

/** A picture that is pasted in this panel is classified; anywhere, when there are no classes that it could be meant for. */
function usePaste(): void {
  useEffect(() => {
    const pasted = (event: ClipboardEvent): void => {
      const isHere = event.target instanceof Element && event.target.closest('#classify') !== null;
      if (!(currentModel.value || isLent.value) || event.defaultPrevented || !(isHere || classes.value.length === 0))
        return;
      if (classifyPasted(event.clipboardData)) event.preventDefault();
    };
    document.addEventListener('paste', pasted);
    return () => document.removeEventListener('paste', pasted);
  }, []);
}

function NoModel(): JSX.Element {
  return (
    <div class="drop-zone first-run">
      <Icon name="sparkle" />
      <h3>No model yet</h3>
      <p class="soft">
        Train one in step 2, or open one: saved here or by native_train, or made with Teachable Machine. It needs no
        photos to classify.
      </p>
      <OpenButton />
    </div>
  );
}

/** There is no model yet but the one in training, which has an answer. */
function StillLearning(): JSX.Element {
  return (
    <p class="soft small">
      The model is still in training. Pictures can be tried already: what it says gets better as it learns.
    </p>
  );
}

function PicturePicker({ isFirst }: { isFirst: boolean }): JSX.Element {
  return (
    <div class={`drop-zone picker ${isFirst ? 'picker--first' : ''}`}>
      <span class="soft">Drop pictures here, paste one, or</span>
      <div class="row picker__ways">
        <FileButton
          class={isFirst ? 'button--primary' : ''}
          label="Choose a picture to classify"
          accept="image/*,.ppm,.pgm,.tga"
          multiple
          onFiles={(files) => void classifyFiles(files)}
        >
          <Icon name="image" />
          Choose pictures
        </FileButton>
        <button type="button" class="button" onClick={() => void startCamera()}>
          <Icon name="camera" />
          Use the camera
        </button>
      </div>
    </div>
  );
}

/** Only while there are many: one is done before it could be read. */
function Working(): JSX.Element | null {
  const at = classifying.value;
  if (!at || at.total < 2) return null;
  return (
    <div class="working">
      <div
        class="progress"
        role="progressbar"
        aria-label="Pictures classified"
        aria-valuemin={0}
        aria-valuemax={at.total}
        aria-valuenow={at.done}
      >
        <div class="progress__bar" style={{ '--share': at.done / at.total }} />
      </div>
      <div class="row">
        <span class="numbers small">
          {at.done} of {plural(at.total, 'picture')}
        </span>
        <button type="button" class="button button--small" onClick={stopClassifying}>
          <Icon name="stop" />
          Stop
        </button>
      </div>
    </div>
  );
}
