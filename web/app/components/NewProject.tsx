// Starts anew. It cannot be undone, so it asks first; the dialogue is the browser's own, with Escape and the focus kept inside.
import type { JSX } from 'preact';
import { useRef } from 'preact/hooks';
import { newProject } from '../actions/project';
import { Icon } from './Icon';

export function NewProject({ isLocked }: { isLocked: boolean }): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  return (
    <>
      <button
        type="button"
        class="button button--quiet button--small"
        disabled={isLocked}
        onClick={() => dialog.current?.showModal()}
      >
        <Icon name="sparkle" />
        New project
      </button>
      <dialog ref={dialog} class="dialog" aria-labelledby="new-project-title">
        <form method="dialog" class="stack">
          <h3 id="new-project-title">Delete this project?</h3>
          <p>Its classes, images, curves and model are deleted from this browser. This cannot be undone.</p>
          <div class="row dialog__actions">
            <button type="submit" class="button">
              Keep it
            </button>
            <button type="submit" class="button button--danger" onClick={() => void newProject()}>
              Delete everything
            </button>
          </div>
        </form>
      </dialog>
    </>
  );
}
