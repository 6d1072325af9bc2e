// An area that takes dropped files. Zones nest: the innermost one under the pointer takes the drop.
import type { ComponentChildren, JSX } from 'preact';
import { useRef, useState } from 'preact/hooks';

interface Properties {
  readonly class?: string;
  readonly 'data-class-card'?: number;
  readonly children: ComponentChildren;
  readonly onDrop: (transfer: DataTransfer) => void;
}

export function carriesFiles(event: DragEvent): boolean {
  return event.dataTransfer?.types.includes('Files') ?? false;
}

export function DropZone({ children, onDrop, ...rest }: Properties): JSX.Element {
  const [isOver, setOver] = useState(false);
  // dragenter and dragleave fire for every child as well: the depth tells when the pointer has left for good.
  const depth = useRef(0);
  const taken = (event: DragEvent): boolean => {
    if (!carriesFiles(event)) return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  };
  return (
    <div
      data-class-card={rest['data-class-card']}
      class={`${rest.class ?? ''} ${isOver ? 'is-over' : ''}`}
      onDragEnter={(event) => {
        if (!taken(event)) return;
        ++depth.current;
        setOver(true);
      }}
      onDragOver={taken}
      onDragLeave={(event) => {
        if (!taken(event)) return;
        depth.current = Math.max(0, depth.current - 1);
        if (depth.current === 0) setOver(false);
      }}
      onDrop={(event) => {
        if (!taken(event)) return;
        depth.current = 0;
        setOver(false);
        if (event.dataTransfer) onDrop(event.dataTransfer);
      }}
    >
      {children}
    </div>
  );
}
