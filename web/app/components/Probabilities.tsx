// A picture's classes with a bar each. The most probable is named above them.
import type { JSX } from 'preact';
import type { Prediction } from '../state';
import { classColour } from './colours';
import { percent } from './words';

/** With more classes than this only the most probable ones are shown, the best first. */
const shownInOrder = 10;

export function Probabilities({ prediction: { name, probabilities } }: { prediction: Prediction }): JSX.Element {
  const ranked = probabilities.map((one, index) => ({ ...one, index })).sort((a, b) => b.probability - a.probability);
  const best = ranked[0];
  const bars =
    probabilities.length > shownInOrder ? ranked.slice(0, shownInOrder) : [...ranked].sort((a, b) => a.index - b.index);
  return (
    <div class="probabilities">
      <p class="probabilities__best">
        <strong>{best?.label}</strong>
        <span class="soft small">{name}</span>
      </p>
      <ul aria-label="Probabilities">
        {bars.map(({ label, probability, index }) => (
          <li key={label} class={`bar ${label === best?.label ? 'bar--best' : ''}`} style={classColour(index)}>
            <span class="bar__label">{label}</span>
            <span class="bar__value numbers">{percent(probability)}</span>
            <span
              class="bar__track"
              role="meter"
              aria-label={label}
              aria-valuemin={0}
              aria-valuemax={1}
              aria-valuenow={probability}
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
