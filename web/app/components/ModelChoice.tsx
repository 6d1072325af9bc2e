// Which of the models to train.
import type { JSX } from 'preact';
import { changeSettings } from '../actions/settings';
import { inputInWords, offeredModels } from '../models';
import { classes, isBusy, settings } from '../state';

export function ModelChoice(): JSX.Element {
  const count = classes.value.length;
  return (
    <fieldset class="models" disabled={isBusy.value}>
      <legend class="models__legend">Model</legend>
      {offeredModels.map(({ id, name, about, spec, refuses }) => {
        // Before there are classes nothing is ruled out yet.
        const reason = count > 0 ? refuses(count) : null;
        const isChosen = settings.value.model === id;
        return (
          <label
            key={id}
            class={`model ${isChosen ? 'model--chosen' : ''} ${reason && !isChosen ? 'is-disabled' : ''}`}
          >
            <input
              type="radio"
              name="model"
              value={id}
              checked={isChosen}
              disabled={reason !== null && !isChosen}
              aria-describedby={`model-${id}-about`}
              onChange={() => changeSettings({ model: id })}
            />
            <span class="model__name">{name}</span>
            <span class="model__about soft small" id={`model-${id}-about`}>
              {about} {reason && about.includes(reason) ? '' : reason} {inputInWords(spec.input)}.
            </span>
          </label>
        );
      })}
    </fieldset>
  );
}
