// A picture's classes with a bar each. The most probable is named above them, unless the model had better not say.
import type { JSX } from 'preact';
import { bestOf, isSure } from '../actions/classify';
import { tempered } from '../evaluation/calibration';
import { currentModel, isCalibrated, type LabelledProbability } from '../state';
import { classColour } from './colours';
import { percent } from './words';

/** With more classes than this only the most probable ones are shown, the best first. */
const shownInOrder = 10;

interface Properties {
  readonly name: string;
  readonly probabilities: readonly LabelledProbability[];
}

export function Probabilities({ name, probabilities }: Properties): JSX.Element {
  const best = bestOf(probabilities);
  const shares = shown(probabilities);
  const ranked = probabilities
    .map(({ label }, index) => ({ label, index, probability: shares[index] ?? 0 }))
    .sort((a, b) => b.probability - a.probability);
  const bars =
    probabilities.length > shownInOrder ? ranked.slice(0, shownInOrder) : [...ranked].sort((a, b) => a.index - b.index);
  return (
    <div class="probabilities">
      <p class="probabilities__best">
        <strong>{isSure(best) ? best.label : 'Not sure'}</strong>
        <span class="soft small">
          {isSure(best)
            ? name
            : `${name}: perhaps ${best.label}. Below ${percent(currentModel.value?.threshold ?? 0)} this model is too often wrong.`}
        </span>
      </p>
      <ul aria-label="Probabilities">
        {bars.map(({ label, probability, index }) => (
          <li key={label} class={`bar ${label === best.label ? 'bar--best' : ''}`} style={classColour(index)}>
            <span class="bar__label">{label}</span>
            <span class="bar__value numbers">{percent(probability)}</span>
            <span
              class="bar__track"
              role="meter"
              aria-label={label}
              aria-valuemin={0}
              aria-valuemax={1}
              // Smaller numbers would be written with an exponent, which ARIA does not know.
              aria-valuenow={probability < 1e-6 ? 0 : probability}
              aria-valuetext={percent(probability)}
            >
              <span class="bar__fill" style={{ '--share': probability }} />
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}

function shown(probabilities: readonly LabelledProbability[]): readonly number[] {
  const shares = probabilities.map(({ probability }) => probability);
  const temperature = currentModel.value?.temperature ?? 1;
  return isCalibrated.value ? tempered(shares, temperature) : shares;
}
