// The model in use, and the ways to take it away or to open another.
import type { JSX } from 'preact';
import { saveModel } from '../actions/model';
import { saveCard, saveHtml, saveOnnx, showTorch } from '../actions/takeaway';
import { takingAway, type CurrentModel } from '../state';
import { classColour } from './colours';
import { Icon } from './Icon';
import { OpenButton } from './OpenButton';
import { TorchDialog } from './TorchDialog';
import { percent, plural } from './words';

export function ModelCard({ model }: { model: CurrentModel }): JSX.Element {
  return (
    <section class="model-card" aria-label="Model in use">
      <div>
        <h3>{model.name}</h3>
        <p class="soft small">
          {model.origin === 'opened' ? `From ${model.fileName}. ` : 'Just trained. '}
          {model.input}, {plural(model.parameters, 'parameter')}.
          {model.validationAccuracy !== null && ` Validation accuracy ${percent(model.validationAccuracy)}.`}
        </p>
        {model.isCropping && <p class="soft small">Of wider or taller pictures it looks at the middle only.</p>}
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
      <TakeAway />
      <TorchDialog />
    </section>
  );
}

function TakeAway(): JSX.Element {
  const isTaken = takingAway.value !== null;
  return (
    <details class="take-away">
      <summary>Take it away</summary>
      <ul class="stack">
        <li>
          <button type="button" class="button button--small" disabled={isTaken} onClick={() => void saveHtml()}>
            <Icon name="download" />
            Save as a web page
          </button>
          <p class="soft small">One HTML file that classifies anywhere, from a disk and without a network.</p>
        </li>
        <li>
          <div class="row">
            <button type="button" class="button button--small" disabled={isTaken} onClick={() => void saveOnnx(true)}>
              <Icon name="download" />
              Save as ONNX
            </button>
            <button type="button" class="button button--small" disabled={isTaken} onClick={() => void saveOnnx(false)}>
              <Icon name="download" />
              Save the bare network as ONNX
            </button>
          </div>
          <p class="soft small">
            For ONNX Runtime, in many languages and on phones. The first takes pictures of any size; the bare network
            takes numbers that were prepared for it.
          </p>
        </li>
        <li>
          <button type="button" class="button button--small" disabled={isTaken} onClick={() => void showTorch()}>
            <Icon name="open" />
            See it in PyTorch
          </button>
          <p class="soft small">This very network as Python that runs, and that loads these weights.</p>
        </li>
        <li>
          <button type="button" class="button button--small" disabled={isTaken} onClick={() => void saveCard()}>
            <Icon name="download" />
            Save the model card
          </button>
          <p class="soft small">What it was trained with and how good it is, filled in by itself.</p>
        </li>
      </ul>
    </details>
  );
}
