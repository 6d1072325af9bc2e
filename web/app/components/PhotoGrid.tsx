// The thumbnails of one class. One tab stop for the whole grid: arrow keys move between the photos' remove buttons,
// so that a keyboard user is past 500 photos with one key. Only the rows that can be seen are drawn, so that 10,000 photos cost
// no more than 100.
import type { ComponentChildren, JSX, RefObject } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { removePhotos } from '../actions/classes';
import type { PhotoClass } from '../state';
import { Icon } from './Icon';
import { PhotoImage } from './PhotoImage';
import { whenResized } from './resized';

/** Shown before "Show all". */
const collapsedRows = 2;
/** Drawn above and below what can be seen, so that scrolling meets no gap. */
const spareRows = 2;

interface Properties {
  readonly photoClass: PhotoClass;
  readonly isLocked: boolean;
  /** Stands beside "Show all". */
  readonly children: ComponentChildren;
}

export function PhotoGrid({ photoClass, isLocked, children }: Properties): JSX.Element {
  const [isOpen, setOpen] = useState(false);
  const [current, setCurrent] = useState(0);
  const [scrolled, setScrolled] = useState(0);
  const wanted = useRef<number | null>(null);
  const frame = useRef<HTMLDivElement>(null);
  const list = useRef<HTMLUListElement>(null);
  const { columns, rowHeight } = useLayout(list, photoClass.photos.length > 0);
  const { photos } = photoClass;
  const reachableCount = isOpen ? photos.length : Math.min(photos.length, collapsedRows * columns);
  const reachable = Math.max(0, Math.min(current, reachableCount - 1));

  const rows = Math.ceil(reachableCount / columns);
  const visibleRows = Math.ceil((frame.current?.clientHeight ?? 0) / rowHeight) || collapsedRows;
  const firstRow = isOpen ? Math.max(0, Math.min(Math.floor(scrolled / rowHeight), rows - visibleRows) - spareRows) : 0;
  const lastRow = isOpen ? Math.min(rows, firstRow + visibleRows + 2 * spareRows + 1) : rows;
  const start = firstRow * columns;
  const shown = photos.slice(start, Math.min(reachableCount, lastRow * columns));

  const focus = (index: number): void => {
    const next = Math.max(0, Math.min(reachableCount - 1, index));
    wanted.current = next;
    setCurrent(next);
    const element = frame.current;
    if (!isOpen || !element) return;
    const top = Math.floor(next / columns) * rowHeight;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + rowHeight > element.scrollTop + element.clientHeight)
      element.scrollTop = top + rowHeight - element.clientHeight;
    setScrolled(element.scrollTop);
  };
  // The photo that the keyboard goes to may have to be drawn first.
  useLayoutEffect(() => {
    if (wanted.current === null) return;
    const button = list.current?.querySelector<HTMLButtonElement>(`button[data-index="${wanted.current}"]`);
    if (!button) return;
    wanted.current = null;
    button.focus({ preventScroll: true });
  });

  const remove = (index: number): void => {
    removePhotos([photos[index]!.id]);
    // The next photo has moved to this place.
    if (photos.length > 1) wanted.current = Math.min(index, photos.length - 2);
  };
  const keys = (event: KeyboardEvent): void => {
    const steps: Record<string, number> = {
      ArrowRight: 1,
      ArrowDown: columns,
      ArrowLeft: -1,
      ArrowUp: -columns,
      Home: -photos.length,
      End: photos.length,
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
      <div
        class={isOpen ? 'photos-frame photos-frame--open' : 'photos-frame'}
        ref={frame}
        onScroll={(event) => setScrolled(event.currentTarget.scrollTop)}
      >
        <ul
          class="photos"
          ref={list}
          aria-label={`Photos of ${photoClass.name}`}
          style={{ '--rows-above': `${firstRow * rowHeight}px`, '--rows-below': `${(rows - lastRow) * rowHeight}px` }}
          onKeyDown={keys}
        >
          {shown.map((photo, i) => (
            <li key={photo.id} class="photo" aria-posinset={start + i + 1} aria-setsize={photos.length}>
              <PhotoImage photo={photo} />
              <button
                type="button"
                class="photo__remove"
                data-index={start + i}
                tabIndex={start + i === reachable ? 0 : -1}
                aria-label={`Remove ${photo.name}`}
                disabled={isLocked}
                onFocus={() => setCurrent(start + i)}
                onClick={() => remove(start + i)}
              >
                <Icon name="close" />
              </button>
            </li>
          ))}
        </ul>
      </div>
      <div class="row photos__actions">
        {children}
        {photos.length > collapsedRows * columns && (
          <button
            type="button"
            class="button button--quiet button--small"
            aria-expanded={isOpen}
            onClick={() => setOpen(!isOpen)}
          >
            {isOpen ? 'Show fewer' : `Show all ${photos.length.toLocaleString('en')}`}
          </button>
        )}
      </div>
    </>
  );
}

/** How many photos stand beside each other, and how far two rows are apart, as the style sheet has laid them out. */
function useLayout(
  list: RefObject<HTMLUListElement | null>,
  hasPhotos: boolean,
): { columns: number; rowHeight: number } {
  const [layout, setLayout] = useState({ columns: 6, rowHeight: 72 });
  useEffect(() => {
    const element = list.current;
    if (!element || !hasPhotos) return undefined;
    const measure = (): void => {
      const { gridTemplateColumns, rowGap } = getComputedStyle(element);
      const widths = gridTemplateColumns.split(' ');
      setLayout({ columns: widths.length, rowHeight: Number.parseFloat(widths[0]!) + Number.parseFloat(rowGap) });
    };
    return whenResized(element, measure);
  }, [hasPhotos]);
  return layout;
}
