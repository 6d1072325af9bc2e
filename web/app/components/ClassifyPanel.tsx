// Step 3: show the model a picture; save it or open another.
import type { JSX } from 'preact';
import { classifyFiles, openModel, saveModel, showPrediction } from '../actions/model';
import {
  classifying,
  currentModel,
  isBusy,
  predictions,
  shownPrediction,
  type CurrentModel,
  type Prediction,
} from '../state';
import { classColour } from './colours';
import { DropZone } from './DropZone';
import { FileButton } from './FileButton';
import { Icon } from './Icon';
import { Errors } from './Notice';
import { Panel } from './Panel';
import { Probabilities } from './Probabilities';
import { percent, plural } from './words';

export function ClassifyPanel(): JSX.Element {
  const model = currentModel.value;
  return (
    <Panel
      id="classify"
      number={3}
      title="Classify"
      summary={model ? plural(model.classes.length, 'class', 'classes') : null}
    >
      <DropZone class="stack" onDrop={(transfer) => dropped(Array.from(transfer.files))}>
        {model ? <ModelCard model={model} /> : <NoModel />}
        <Errors place="model" />
        {model && <PicturePicker isFirst={predictions.value.length === 0} />}
        <Errors place="classify" />
        <Result />
      </DropZone>
    </Panel>
  );
}

function isModelFile({ name }: File): boolean {
  return name.toLowerCase().endsWith('.safetensors');
}

function dropped(files: readonly File[]): void {
  const modelFile = files.find(isModelFile);
  if (modelFile) void openModel(modelFile);
  else if (files.length > 0) void classifyFiles(files);
}

function NoModel(): JSX.Element {
  return (
    <div class="drop-zone first-run">
      <Icon name="sparkle" />
      <h3>No model yet</h3>
      <p class="soft">
        Train one in step 2, or open one that was saved before, here or by native_train. It needs no photos to classify.
      </p>
      <OpenButton />
    </div>
  );
}

function OpenButton(): JSX.Element {
  return (
    <FileButton
      class="button--small"
      label="Open a model file"
      accept=".safetensors"
      disabled={isBusy.value}
      onFiles={([file]) => {
        if (file) void openModel(file);
      }}
    >
      <Icon name="open" />
      Open a model
    </FileButton>
  );
}

function ModelCard({ model }: { model: CurrentModel }): JSX.Element {
  return (
    <section class="model-card" aria-label="Model in use">
      <div>
        <h3>{model.name}</h3>
        <p class="soft small">
          {model.origin === 'opened' ? `From ${model.fileName}. ` : 'Just trained. '}
          {model.input}, {plural(model.parameters, 'parameter')}.
          {model.validationAccuracy !== null && ` Validation accuracy ${percent(model.validationAccuracy)}.`}
        </p>
      </div>
      <ul class="row" aria-label="Classes it knows">
        {model.classes.map((name, index) => (
          <li key={name} class="chip" style={classColour(index)}>
            <span class="dot" />
            {name}
          </li>
        ))}
      </ul>
      <div class="row">
        <button type="button" class="button button--small" onClick={() => void saveModel()}>
          <Icon name="download" />
          Save the model
        </button>
        <OpenButton />
      </div>
    </section>
  );
}

function PicturePicker({ isFirst }: { isFirst: boolean }): JSX.Element {
  return (
    <div class={`drop-zone picker ${isFirst ? 'picker--first' : ''}`}>
      <span class="soft">Drop a picture here, or</span>
      <FileButton
        class={isFirst ? 'button--primary' : ''}
        label="Choose a picture to classify"
        accept="image/*,.ppm,.pgm,.tga"
        multiple
        onFiles={(files) => void classifyFiles(files)}
      >
        <Icon name="image" />
        Choose a picture
      </FileButton>
    </div>
  );
}

function Result(): JSX.Element | null {
  const all = predictions.value;
  const shown = all.find(({ id }) => id === shownPrediction.value);
  if (!shown) return null;
  return (
    <section class="stack" aria-label="Result" aria-busy={classifying.value}>
      <div class="result">
        <img class="result__picture" src={shown.picture} alt={shown.name} />
        <Probabilities prediction={shown} />
      </div>
      {all.length > 1 && <Earlier all={all} shown={shown} />}
    </section>
  );
}

function Earlier({ all, shown }: { all: readonly Prediction[]; shown: Prediction }): JSX.Element {
  return (
    <ul class="earlier" aria-label="Classified pictures">
      {all.map((one) => (
        <li key={one.id}>
          <button
            type="button"
            class="earlier__one"
            aria-pressed={one === shown}
            aria-label={`Show ${one.name}`}
            title={one.name}
            onClick={() => showPrediction(one.id)}
          >
            <img src={one.picture} alt="" />
          </button>
        </li>
      ))}
    </ul>
  );
}
