// What stands in the way of a good model, each with a button that helps.
import { computed } from '@preact/signals';
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { adviceOn, type Advice as Piece } from '../advice/advice';
import { removePhotos } from '../actions/classes';
import { changeSettings } from '../actions/settings';
import { classes, duplicates, isBusy, reading, report, settings } from '../state';
import { Icon } from './Icon';
import { later } from './later';

const SimilarPhotos = later(() => import('./SimilarPhotos').then((part) => part.SimilarPhotos));

const heldOut = computed(() => new Set(report.value?.answers.map(({ id }) => id)));

export function Advice(): JSX.Element | null {
  const [shown, setShown] = useState<Piece['kind'] | null>(null);
  if (reading.value) return null;
  const pieces = adviceOn(classes.value, duplicates.value, heldOut.value);
  if (pieces.length === 0) return null;
  return (
    <section class="advice" aria-label="Advice on the data">
      <ul>
        {pieces.map((piece) => (
          <li key={piece.kind} class="advice__one">
            <Icon name="alert" />
            <div>
              <p>{piece.sentence}</p>
              <div class="row">
                <Help piece={piece} isShown={shown === piece.kind} onShow={setShown} />
              </div>
              {shown === piece.kind && piece.groups.length > 0 && <SimilarPhotos groups={piece.groups} />}
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}

interface HelpProperties {
  readonly piece: Piece;
  readonly isShown: boolean;
  readonly onShow: (kind: Piece['kind'] | null) => void;
}

function Help({ piece: { kind, groups, superfluous, classId }, isShown, onShow }: HelpProperties): JSX.Element {
  return (
    <>
      {superfluous.length > 0 && (
        <button
          type="button"
          class="button button--small"
          disabled={isBusy.value}
          onClick={() => removePhotos(superfluous)}
        >
          {kind === 'copies' ? 'Remove the copies' : 'Keep one of each'}
        </button>
      )}
      {groups.length > 0 && (
        <button
          type="button"
          class="button button--quiet button--small"
          aria-expanded={isShown}
          onClick={() => onShow(isShown ? null : kind)}
        >
          {isShown ? 'Hide them' : 'Show them'}
        </button>
      )}
      {kind === 'unbalanced' && (
        <button
          type="button"
          class="button button--small"
          aria-pressed={settings.value.balance}
          disabled={isBusy.value}
          onClick={() => changeSettings({ balance: !settings.value.balance })}
        >
          {settings.value.balance ? 'Classes count alike' : 'Let classes count alike'}
        </button>
      )}
      {classId !== null && (
        <button
          type="button"
          class="button button--small"
          onClick={() =>
            document.querySelector<HTMLInputElement>(`[data-class-card="${classId}"] input[type=file]`)?.focus()
          }
        >
          Add images to {classes.value.find(({ id }) => id === classId)?.name}
        </button>
      )}
    </>
  );
}
