// One class: its name, its photos, and the ways to add more. The whole card takes drops.
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { deleteClass, renameClass } from '../actions/classes';
import { addDropped, addFiles } from '../actions/photos';
import { filesOfInput } from '../files/folders';
import { isBusy, reading, type PhotoClass } from '../state';
import { classColour } from './colours';
import { DropZone } from './DropZone';
import { FileButton } from './FileButton';
import { Icon } from './Icon';
import { PhotoGrid } from './PhotoGrid';
import { plural } from './words';

export function ClassCard({ photoClass, index }: { photoClass: PhotoClass; index: number }): JSX.Element {
  const { id, name, photos } = photoClass;
  const [problem, setProblem] = useState<string | null>(null);
  const isLocked = isBusy.value || reading.value !== null;
  const problemId = `class-${id}-problem`;

  const rename = (input: HTMLInputElement): void => {
    const refused = renameClass(id, input.value);
    setProblem(refused);
    if (refused === null) input.value = input.value.trim();
  };

  return (
    <DropZone class="class-card" onDrop={(transfer) => void addDropped(transfer, id)}>
      <section aria-label={`Class ${name}`} style={classColour(index)}>
        <header class="class-card__head">
          <span class="dot" />
          <input
            class="class-card__name"
            aria-label="Class name"
            aria-invalid={problem !== null}
            aria-describedby={problem === null ? undefined : problemId}
            value={name}
            maxLength={80}
            disabled={isLocked}
            spellcheck={false}
            autocomplete="off"
            data-class={id}
            onChange={(event) => rename(event.currentTarget)}
            onKeyDown={(event) => {
              if (event.key === 'Enter') event.currentTarget.blur();
            }}
          />
          <span class="class-card__count numbers">{plural(photos.length, 'image')}</span>
          <button
            type="button"
            class="button button--quiet button--icon"
            aria-label={`Delete ${name}`}
            disabled={isLocked}
            onClick={() => deleteClass(id)}
          >
            <Icon name="trash" />
          </button>
        </header>
        {problem !== null && (
          <p class="field__problem" id={problemId} role="alert">
            {problem}
          </p>
        )}
        <PhotoGrid photoClass={photoClass} isLocked={isLocked}>
          <FileButton
            class="button--small"
            label={`Add images to ${name}`}
            accept="image/*,.ppm,.pgm,.tga"
            multiple
            disabled={isLocked}
            onFiles={(files) => void addFiles(filesOfInput(files), id)}
          >
            <Icon name="plus" />
            Add images
          </FileButton>
          {photos.length === 0 && <span class="soft small">or drop them here</span>}
        </PhotoGrid>
      </section>
    </DropZone>
  );
}
