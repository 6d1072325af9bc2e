// Held-out photos with what the model said of them; each can be put into another class or removed.
import type { JSX } from 'preact';
import { relabelPhoto, removeWrongPhoto } from '../actions/mistakes';
import { argmax, type Answer } from '../evaluation/answers';
import { classes, isBusy, photoPlaces, type Report } from '../state';
import { Icon } from './Icon';
import { PhotoImage } from './PhotoImage';
import { percent } from './words';

interface Properties {
  readonly report: Report;
  readonly label: string;
  readonly answers: readonly Answer[];
}

export function JudgedPhotos({ report, label, answers }: Properties): JSX.Element {
  const there = answers.filter(({ id }) => photoPlaces.value.has(id));
  if (there.length === 0) return <p class="soft small">These images have been removed.</p>;
  return (
    <ul class="judged" aria-label={label}>
      {there.map((answer) => (
        <JudgedPhoto key={answer.id} report={report} answer={answer} />
      ))}
    </ul>
  );
}

function JudgedPhoto({ report, answer }: { report: Report; answer: Answer }): JSX.Element | null {
  const place = photoPlaces.value.get(answer.id);
  if (!place) return null;
  const { photo, photoClass } = place;
  const predicted = argmax(answer.probabilities);
  return (
    <li class="judged__one">
      <PhotoImage photo={photo} />
      <div class="judged__facts">
        <span class="judged__name small" title={photo.name}>
          {photo.name}
        </span>
        <span class="soft small numbers">
          said {report.classes[predicted]?.name}, {percent(answer.probabilities[predicted] ?? NaN, 0)} sure
        </span>
        <div class="row judged__mend">
          <select
            aria-label={`Class of ${photo.name}`}
            value={photoClass.id}
            disabled={isBusy.value}
            onChange={(event) => relabelPhoto(photo.id, Number(event.currentTarget.value))}
          >
            {classes.value.map(({ id, name }) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
          </select>
          <button
            type="button"
            class="button button--quiet button--icon"
            aria-label={`Remove ${photo.name} from the data`}
            disabled={isBusy.value}
            onClick={() => removeWrongPhoto(photo.id)}
          >
            <Icon name="trash" />
          </button>
        </div>
      </div>
    </li>
  );
}
