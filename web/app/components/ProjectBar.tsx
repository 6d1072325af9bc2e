// The project as a whole: where it is kept, saved as a file, opened from one, or begun anew.
import type { JSX } from 'preact';
import { arrived } from '../arrived';
import { messageOf, showError } from '../actions/errors';
import type * as ProjectFile from '../actions/projectFile';
import { classes, notKept, saving } from '../state';
import { FileButton } from './FileButton';
import { Icon } from './Icon';
import { NewProject } from './NewProject';

export function ProjectBar({ isLocked }: { isLocked: boolean }): JSX.Element {
  const isEmpty = classes.value.length === 0;
  const packed = saving.value;
  return (
    <section class="project-bar" aria-label="Project">
      {!isEmpty && notKept.value === null && (
        <p class="soft small">Kept in this browser as you go: it is here again after a reload.</p>
      )}
      <div class="row">
        {!isEmpty && (
          <button
            type="button"
            class="button button--small"
            disabled={isLocked}
            onClick={() => void withProjectFile(({ saveProject }) => saveProject())}
          >
            <Icon name="download" />
            {packed ? `Packing ${packed.done} of ${packed.total}` : 'Save the project'}
          </button>
        )}
        <FileButton
          class="button--small"
          label="Open a project file"
          accept=".zip"
          disabled={isLocked}
          onFiles={([file]) => {
            if (file) void withProjectFile(({ openProjectFile }) => openProjectFile(file));
          }}
        >
          <Icon name="open" />
          Open a project
        </FileButton>
        {!isEmpty && <NewProject isLocked={isLocked} />}
      </div>
    </section>
  );
}

/** What packs and unpacks a project is fetched when it is wanted. */
async function withProjectFile(work: (file: typeof ProjectFile) => Promise<void>): Promise<void> {
  try {
    await work(await arrived(import('../actions/projectFile')));
  } catch (error) {
    showError('data', messageOf(error));
  }
}
