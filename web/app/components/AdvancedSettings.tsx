// Everything about training that works without being touched.
import type { JSX } from 'preact';
import { changeSettings, problemWith, resetSettings, type NumberSetting } from '../actions/settings';
import { defaultSettings, isBusy, settings, type OptimizerName } from '../state';

const optimizers: readonly { readonly id: OptimizerName; readonly name: string }[] = [
  { id: 'adam', name: 'Adam' },
  { id: 'adamw', name: 'AdamW' },
  { id: 'sgd', name: 'SGD' },
];

export function AdvancedSettings(): JSX.Element {
  const chosen = settings.value;
  const isDefault = (Object.keys(defaultSettings) as (keyof typeof defaultSettings)[]).every(
    (key) => key === 'model' || Object.is(chosen[key], defaultSettings[key]),
  );
  return (
    <details class="advanced">
      <summary>Advanced</summary>
      <div class="advanced__fields">
        <NumberField setting="epochs" label="Epochs" hint="Passes over the training images" step="1" />
        <NumberField setting="batchSize" label="Batch size" hint="Images in one step" step="1" />
        <NumberField setting="learningRate" label="Learning rate" hint="Smaller is slower and steadier" step="any" />
        <div class="field">
          <label for="optimizer">Optimizer</label>
          <select
            id="optimizer"
            value={chosen.optimizer}
            disabled={isBusy.value}
            onChange={(event) => changeSettings({ optimizer: event.currentTarget.value as OptimizerName })}
          >
            {optimizers.map(({ id, name }) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
          </select>
        </div>
        {chosen.optimizer === 'sgd' && <NumberField setting="momentum" label="Momentum" hint="Of SGD" step="any" />}
        <NumberField setting="weightDecay" label="Weight decay" hint="0 is none" step="any" />
        <NumberField setting="validationSplit" label="Validation split" hint="Part held out to test with" step="any" />
        <NumberField setting="seed" label="Seed" hint="The same seed, the same result" step="1" />
      </div>
      {!isDefault && (
        <button
          type="button"
          class="button button--quiet button--small"
          disabled={isBusy.value}
          onClick={resetSettings}
        >
          Back to the defaults
        </button>
      )}
    </details>
  );
}

interface NumberProperties {
  readonly setting: NumberSetting;
  readonly label: string;
  readonly hint: string;
  readonly step: string;
}

function NumberField({ setting, label, hint, step }: NumberProperties): JSX.Element {
  const value = settings.value[setting];
  const problem = problemWith(setting, value);
  const id = `setting-${setting}`;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        id={id}
        type="number"
        inputMode="decimal"
        step={step}
        value={Number.isNaN(value) ? '' : value}
        disabled={isBusy.value}
        aria-invalid={problem !== null}
        aria-describedby={`${id}-hint`}
        // valueAsNumber is NaN for what is no number, which the rules refuse.
        onInput={(event) => changeSettings({ [setting]: event.currentTarget.valueAsNumber })}
      />
      <span id={`${id}-hint`} class={problem ? 'field__problem' : 'soft small'}>
        {problem ?? hint}
      </span>
    </div>
  );
}
