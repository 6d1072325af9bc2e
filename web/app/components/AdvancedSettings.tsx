// Everything about training that works without being touched: what the part "Advanced" holds.
import type { JSX } from 'preact';
import { changeSettings, problemWith, resetSettings, type NumberSetting } from '../actions/settings';
import { mostThreads, setThreads } from '../actions/threads';
import { offeredModel } from '../models';
import type { OptimizerName, ScheduleName } from '../settings';
import { chosenSettings, engineState, isBusy, settings } from '../state';
import { AugmentationChoice } from './AugmentationChoice';
import { ModelChoice } from './ModelChoice';

const optimizers: readonly Choosable<OptimizerName>[] = [
  { id: 'adam', name: 'Adam' },
  { id: 'adamw', name: 'AdamW' },
  { id: 'sgd', name: 'SGD' },
];

const schedules: readonly Choosable<ScheduleName>[] = [
  { id: 'constant', name: 'Constant', about: 'The rate stays' },
  { id: 'cosine', name: 'Cosine', about: 'The rate falls to 0' },
  { id: 'one_cycle', name: 'One-cycle', about: 'The rate rises, then falls' },
];

export function AdvancedSettings(): JSX.Element {
  const chosen = settings.value;
  const isChanged = Object.keys(chosenSettings.value).length > 0;
  return (
    <div class="stack advanced__body">
      <p class="soft small">What you do not set follows your images.</p>
      <ModelChoice />
      <div class="advanced__fields">
        <NumberField setting="imageSize" label="Image size" hint="Pixels a side" step="1" />
        <NumberField setting="epochs" label="Epochs" hint="Passes over the training images" step="1" />
        <NumberField setting="batchSize" label="Batch size" hint="Images in one step" step="1" />
        <NumberField setting="learningRate" label="Learning rate" hint="Smaller is slower and steadier" step="any" />
        <Choice
          id="optimizer"
          label="Optimizer"
          value={chosen.optimizer}
          among={optimizers}
          onChange={(optimizer) => changeSettings({ optimizer })}
        />
        {chosen.optimizer === 'sgd' && <NumberField setting="momentum" label="Momentum" hint="Of SGD" step="any" />}
        <NumberField setting="weightDecay" label="Weight decay" hint="0 is none" step="any" />
        <Choice
          id="schedule"
          label="Schedule"
          value={chosen.schedule}
          among={schedules}
          onChange={(schedule) => changeSettings({ schedule })}
        />
        {chosen.schedule !== 'one_cycle' && (
          <NumberField setting="warmupEpochs" label="Warm-up" hint="Epochs in which the rate rises" step="any" />
        )}
        <NumberField
          setting="labelSmoothing"
          label="Label smoothing"
          hint="Less sure of itself; 0 is none"
          step="any"
        />
        <NumberField setting="validationSplit" label="Validation split" hint="Part held out to test with" step="any" />
        <NumberField
          setting="patience"
          label="Patience"
          hint={
            chosen.validationSplit === 0
              ? 'Needs a validation split'
              : 'Ends after so many epochs without a better one; 0 never'
          }
          step="1"
        />
        <NumberField setting="seed" label="Seed" hint="The same seed, the same result" step="1" />
        <Threads />
      </div>
      <AugmentationChoice />
      {isChanged && (
        <button
          type="button"
          class="button button--quiet button--small"
          disabled={isBusy.value}
          onClick={resetSettings}
        >
          Back to the defaults
        </button>
      )}
    </div>
  );
}

interface Choosable<Id extends string> {
  readonly id: Id;
  readonly name: string;
  readonly about?: string;
}

interface ChoiceProperties<Id extends string> {
  readonly id: string;
  readonly label: string;
  readonly value: Id;
  readonly among: readonly Choosable<Id>[];
  readonly onChange: (value: Id) => void;
}

function Choice<Id extends string>({ id, label, value, among, onChange }: ChoiceProperties<Id>): JSX.Element {
  const about = among.find((one) => one.id === value)?.about;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select
        id={id}
        value={value}
        disabled={isBusy.value}
        aria-describedby={about && `${id}-hint`}
        onChange={(event) => onChange(event.currentTarget.value as Id)}
      >
        {among.map((one) => (
          <option key={one.id} value={one.id}>
            {one.name}
          </option>
        ))}
      </select>
      {about && (
        <span id={`${id}-hint`} class="soft small">
          {about}
        </span>
      )}
    </div>
  );
}

function Threads(): JSX.Element | null {
  const state = engineState.value;
  if (state.status !== 'ready') return null;
  return (
    <div class="field">
      <label for="threads">Threads</label>
      <select
        id="threads"
        value={state.threads}
        disabled={isBusy.value || !state.hasThreads}
        aria-describedby="threads-hint"
        onChange={(event) => void setThreads(Number(event.currentTarget.value))}
      >
        {Array.from({ length: Math.max(state.threads, mostThreads()) }, (_, i) => i + 1).map((count) => (
          <option key={count} value={count}>
            {count}
          </option>
        ))}
      </select>
      <span id="threads-hint" class="soft small">
        {state.hasThreads ? 'The result is the same' : 'This page runs on one'}
      </span>
    </div>
  );
}

interface NumberProperties {
  readonly setting: NumberSetting;
  readonly label: string;
  readonly hint: string;
  readonly step: string;
}

function NumberField({ setting, label, hint, step }: NumberProperties): JSX.Element {
  const set = settings.value[setting];
  const value = set === 'model' ? offeredModel(settings.value.model).spec.input[0] : set;
  const problem = problemWith(setting, set);
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
