// The thumbnails of one class. One tab stop for the whole grid: arrow keys move between the photos' remove buttons,
// so that a keyboard user is past 500 photos with one key.
import type { ComponentChildren, JSX, RefObject } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { removePhoto } from '../actions/classes';
import type { PhotoClass } from '../state';
import { Icon } from './Icon';

/** Shown before "Show all". */
const collapsedRows = 2;

interface Properties {
  readonly photoClass: PhotoClass;
  readonly isLocked: boolean;
  /** Stands beside "Show all". */
  readonly children: ComponentChildren;
}

export function PhotoGrid({ photoClass, isLocked, children }: Properties): JSX.Element {
  const [isOpen, setOpen] = useState(false);
  const [current, setCurrent] = useState(0);
  const list = useRef<HTMLUListElement>(null);
  const columns = useColumns(list);
  const { photos } = photoClass;
  const collapsedCount = collapsedRows * columns;
  const shown = isOpen ? photos : photos.slice(0, collapsedCount);
  const reachable = Math.min(current, shown.length - 1);

  const focus = (index: number): void => {
    const next = Math.max(0, Math.min(shown.length - 1, index));
    setCurrent(next);
    list.current?.querySelectorAll<HTMLButtonElement>('button')[next]?.focus();
  };
  const remove = (index: number): void => {
    removePhoto(photoClass.id, photos[index]!.id);
    // The next photo has moved to this place; wait until it is drawn.
    requestAnimationFrame(() => focus(Math.min(index, photos.length - 2)));
  };
  const keys = (event: KeyboardEvent): void => {
    const steps: Record<string, number> = {
      ArrowRight: 1,
      ArrowDown: 1,
      ArrowLeft: -1,
      ArrowUp: -1,
      Home: -shown.length,
      End: shown.length,
    };
    const step = steps[event.key];
    if (step !== undefined) {
      event.preventDefault();
      focus(reachable + step);
    } else if (event.key === 'Delete' && !isLocked) {
      event.preventDefault();
      remove(reachable);
    }
  };

  return (
    <>
      <ul
        class={`photos ${isOpen ? 'photos--open' : ''}`}
        ref={list}
        aria-label={`Photos of ${photoClass.name}`}
        onKeyDown={keys}
      >
        {shown.map((photo, index) => (
          <li key={photo.id} class="photo" title={photo.name}>
            <img src={photo.thumbnail} alt={photo.name} width="64" height="64" draggable={false} />
            <button
              type="button"
              class="photo__remove"
              tabIndex={index === reachable ? 0 : -1}
              aria-label={`Remove ${photo.name}`}
              disabled={isLocked}
              onFocus={() => setCurrent(index)}
              onClick={() => remove(index)}
            >
              <Icon name="close" />
            </button>
          </li>
        ))}
      </ul>
      <div class="row photos__actions">
        {children}
        {photos.length > collapsedCount && (
          <button
            type="button"
            class="button button--quiet button--small"
            aria-expanded={isOpen}
            onClick={() => setOpen(!isOpen)}
          >
            {isOpen ? 'Show fewer' : `Show all ${photos.length}`}
          </button>
        )}
      </div>
    </>
  );
}

/** How many photos stand beside each other, as the style sheet has laid them out. */
function useColumns(list: RefObject<HTMLUListElement | null>): number {
  const [columns, setColumns] = useState(6);
  useEffect(() => {
    const element = list.current;
    if (!element) return undefined;
    const measure = (): void => setColumns(getComputedStyle(element).gridTemplateColumns.split(' ').length);
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return columns;
}
