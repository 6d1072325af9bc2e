// Step 1: the classes and their images.
import type { JSX } from 'preact';
import { addClass, undo } from '../actions/classes';
import { addFiles, addTransfer, cancelReading } from '../actions/photos';
import { addSamples, sampleFolder, samplePreview } from '../actions/samples';
import { filesOfInput } from '../files/folders';
import {
  classes,
  dismissedChange,
  isBusy,
  isOpening,
  notKept,
  photoCount,
  reading,
  readReport,
  saving,
  undoStack,
} from '../state';
import { Advice } from './Advice';
import { ClassCard } from './ClassCard';
import { Credits } from './Credits';
import { DropZone } from './DropZone';
import { FileButton } from './FileButton';
import { Icon } from './Icon';
import { ProjectBar } from './ProjectBar';
import { Errors, Notice } from './Notice';
import { Panel } from './Panel';
import { whenRendered } from './rendered';
import { plural } from './words';

export function DataPanel(): JSX.Element {
  const count = classes.value.length;
  const summary = count > 0 ? `${plural(photoCount.value, 'image')} in ${plural(count, 'class', 'classes')}` : null;
  return (
    <Panel id="data" number={1} title="Data" summary={summary}>
      <DropZone class="stack data" onDrop={(transfer) => void addTransfer(transfer)}>
        {isOpening.value ? null : count === 0 && reading.value === null ? <FirstRun /> : <AddMore />}
        <Reading />
        {notKept.value && (
          <Notice kind="error">
            <p>{notKept.value}</p>
          </Notice>
        )}
        <Errors place="data" />
        <Summary />
        <Advice />
        {count > 0 && (
          <div class="class-cards">
            {classes.value.map((one, index) => (
              <ClassCard key={one.id} photoClass={one} index={index} />
            ))}
          </div>
        )}
        <Credits />
        {!isOpening.value && <ProjectBar isLocked={isLocked()} />}
      </DropZone>
      <Snackbar />
    </Panel>
  );
}

function FirstRun(): JSX.Element {
  return (
    <div class="drop-zone first-run">
      <Icon name="folder" />
      <h3>Drop a folder of photos here</h3>
      <p class="soft">
        Its sub-folders become the classes: one for each kind of thing you want to tell apart. 20 photos of each are a
        start.
      </p>
      <div class="row first-run__ways">
        <FolderButton isPrimary />
        <ZipButton />
        <AddClassButton />
      </div>
      <SampleOffer />
    </div>
  );
}

function SampleOffer(): JSX.Element {
  return (
    <div class="samples">
      <div class="samples__pictures" aria-hidden="true">
        {samplePreview.map((path) => (
          <img key={path} src={new URL(path, sampleFolder).href} alt="" width="56" height="56" />
        ))}
      </div>
      <p class="soft">No photos at hand?</p>
      <button type="button" class="button" onClick={() => void addSamples()}>
        Load the sample photos
      </button>
    </div>
  );
}

function AddMore(): JSX.Element {
  return (
    <div class="row">
      <AddClassButton />
      <FolderButton />
      <ZipButton />
    </div>
  );
}

function ZipButton(): JSX.Element {
  return (
    <FileButton
      label="Choose a zip file"
      accept=".zip"
      disabled={isLocked()}
      onFiles={(files) => void addFiles(filesOfInput(files))}
    >
      <Icon name="open" />
      Zip
    </FileButton>
  );
}

function FolderButton({ isPrimary }: { isPrimary?: boolean }): JSX.Element {
  return (
    <FileButton
      class={isPrimary ? 'button--primary' : ''}
      folder
      disabled={isLocked()}
      onFiles={(files) => void addFiles(filesOfInput(files))}
    >
      <Icon name="folder" />
      Choose a folder
    </FileButton>
  );
}

function AddClassButton(): JSX.Element {
  const add = (): void => {
    const id = addClass();
    // Its name is what one wants to change first.
    whenRendered(() => {
      const name = document.querySelector<HTMLInputElement>(`input[data-class="${id}"]`);
      name?.focus();
      name?.select();
    });
  };
  return (
    <button type="button" class="button" disabled={isLocked()} onClick={add}>
      <Icon name="plus" />
      Add a class
    </button>
  );
}

function isLocked(): boolean {
  return isBusy.value || reading.value !== null || saving.value !== null;
}

function Reading(): JSX.Element | null {
  if (!reading.value) return null;
  const { done, total } = reading.value;
  return (
    <div class="working">
      <div class="row">
        <span class="numbers">
          Reading {done} of {plural(total, 'image')}
        </span>
        <button type="button" class="button button--small working__stop" onClick={cancelReading}>
          Cancel
        </button>
      </div>
      <div
        class="progress"
        role="progressbar"
        aria-label="Images read"
        aria-valuemin={0}
        aria-valuemax={total}
        aria-valuenow={done}
      >
        <div class="progress__bar" style={{ '--share': total > 0 ? done / total : 0 }} />
      </div>
    </div>
  );
}

function Summary(): JSX.Element | null {
  const report = readReport.value;
  if (!report) return null;
  const { added, cancelled, ignored, unreadable, emptyClasses } = report;
  const isGood = unreadable.length === 0 && emptyClasses.length === 0;
  return (
    <Notice kind={isGood ? 'info' : 'error'} onDismiss={() => (readReport.value = null)}>
      <p>
        {(added > 0 || isGood) && `${plural(added, 'image')} added${cancelled ? ' before you cancelled' : ''}. `}
        {ignored > 0 && `${plural(ignored, 'other file')} left out. `}
        {unreadable.length > 0 && `${plural(unreadable.length, 'file')} could not be read:`}
      </p>
      {unreadable.length > 0 && (
        <ul>
          {unreadable.map(({ name, message }) => (
            <li key={name}>
              <strong>{name}</strong>: {message}
            </li>
          ))}
        </ul>
      )}
      {emptyClasses.length > 0 && <p>No readable image in {emptyClasses.join(', ')}.</p>}
    </Notice>
  );
}

/** Stays until it is used or sent away: nobody has to be quick. */
function Snackbar(): JSX.Element | null {
  const latest = undoStack.value.at(-1);
  if (!latest || latest === dismissedChange.value || reading.value) return null;
  return (
    <div class="snackbar">
      <span>{latest.what}</span>
      <button type="button" class="button button--small" disabled={isLocked()} onClick={undo}>
        Undo
      </button>
      <button
        type="button"
        class="button button--quiet button--icon"
        aria-label="Dismiss"
        onClick={() => (dismissedChange.value = latest)}
      >
        <Icon name="close" />
      </button>
    </div>
  );
}
