// One class: its name, its photos, and the ways to add more. The whole card takes drops; its handle moves it among the others,
// by dragging or with the arrow keys.
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { deleteClass, moveClass, renameClass } from '../actions/classes';
import { addFiles, addTransfer } from '../actions/photos';
import { filesOfInput } from '../files/folders';
import { classes, isBusy, reading, webcamFor, type PhotoClass } from '../state';
import { ClassMenu } from './ClassMenu';
import { classColour } from './colours';
import { DropZone } from './DropZone';
import { FileButton } from './FileButton';
import { Icon } from './Icon';
import { later } from './later';
import { PhotoGrid } from './PhotoGrid';
import { whenRendered } from './rendered';
import { plural } from './words';

const Webcam = later(() => import('./Webcam').then((part) => part.Webcam));

const draggedClass = 'application/x-pinhole-class';

export function ClassCard({ photoClass, index }: { photoClass: PhotoClass; index: number }): JSX.Element {
  const { id, name, photos } = photoClass;
  const [problem, setProblem] = useState<string | null>(null);
  const [isTarget, setTarget] = useState(false);
  const isLocked = isBusy.value || reading.value !== null;
  const problemId = `class-${id}-problem`;

  const rename = (input: HTMLInputElement): void => {
    const refused = renameClass(id, input.value);
    setProblem(refused);
    if (refused === null) input.value = input.value.trim() || name;
  };
  const isClass = (event: DragEvent): boolean => event.dataTransfer?.types.includes(draggedClass) ?? false;

  return (
    <DropZone class="class-card" data-class-card={id} onDrop={(transfer) => void addTransfer(transfer, id)}>
      <section
        class={isTarget ? 'is-over' : undefined}
        aria-label={`Class ${name}`}
        style={classColour(index)}
        onDragOver={(event) => {
          if (!isClass(event)) return;
          event.preventDefault();
          setTarget(true);
        }}
        onDragLeave={() => setTarget(false)}
        onDrop={(event) => {
          if (!isClass(event)) return;
          event.preventDefault();
          setTarget(false);
          moveClass(Number(event.dataTransfer?.getData(draggedClass)), index);
        }}
      >
        <header class="class-card__head">
          <Handle photoClass={photoClass} index={index} isLocked={isLocked} />
          <input
            class="class-card__name"
            type="text"
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
          <span class="row class-card__tools">
            {classes.value.length > 1 && <ClassMenu photoClass={photoClass} isLocked={isLocked} />}
            <button
              type="button"
              class="button button--quiet button--icon"
              aria-label={`Delete ${name}`}
              disabled={isLocked}
              onClick={() => deleteClass(id)}
            >
              <Icon name="trash" />
            </button>
          </span>
        </header>
        {problem !== null && (
          <p class="field__problem" id={problemId} role="alert">
            {problem}
          </p>
        )}
        {webcamFor.value === id && <Webcam photoClass={photoClass} />}
        <PhotoGrid photoClass={photoClass} isLocked={isLocked}>
          <FileButton
            class="button--small"
            label={`Add images to ${name}`}
            accept="image/*,.ppm,.pgm,.tga,.heic,.heif,.avif,.zip"
            multiple
            disabled={isLocked}
            onFiles={(files) => void addFiles(filesOfInput(files), id)}
          >
            <Icon name="plus" />
            Add images
          </FileButton>
          <button
            type="button"
            class="button button--small"
            aria-expanded={webcamFor.value === id}
            aria-label={`Webcam for ${name}`}
            disabled={isLocked}
            onClick={() => (webcamFor.value = webcamFor.value === id ? null : id)}
          >
            <Icon name="camera" />
            Webcam
          </button>
        </PhotoGrid>
        {photos.length === 0 && <p class="soft small">Or drop or paste them here: images, a folder, a zip file.</p>}
      </section>
    </DropZone>
  );
}

interface HandleProperties {
  readonly photoClass: PhotoClass;
  readonly index: number;
  readonly isLocked: boolean;
}

function Handle({ photoClass: { id, name }, index, isLocked }: HandleProperties): JSX.Element {
  const keys = (event: KeyboardEvent): void => {
    const step = { ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    moveClass(id, index + step);
    // The card has moved in the page, and with it goes the focus.
    const handle = event.currentTarget as HTMLElement;
    whenRendered(() => handle.focus());
  };
  return (
    <button
      type="button"
      class="class-card__handle"
      aria-label={`Move ${name}, place ${index + 1} of ${classes.value.length}`}
      title="Drag, or use the arrow keys, to move this class"
      disabled={isLocked}
      draggable={!isLocked}
      onDragStart={(event) => {
        event.dataTransfer?.setData(draggedClass, String(id));
        if (event.dataTransfer) event.dataTransfer.effectAllowed = 'move';
      }}
      onKeyDown={keys}
    >
      <span class="dot" />
    </button>
  );
}
