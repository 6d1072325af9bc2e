// A button that opens the file dialogue: a real <input type="file"> under a label, so that keyboard and screen reader have it as it is.
import type { ComponentChildren, JSX, TargetedEvent } from 'preact';

interface Properties {
  readonly children: ComponentChildren;
  /** What a screen reader says, when the visible text alone would not do. */
  readonly label?: string;
  readonly accept?: string;
  readonly multiple?: boolean;
  readonly folder?: boolean;
  readonly disabled?: boolean;
  readonly class?: string;
  readonly onFiles: (files: readonly File[]) => void;
}

export function FileButton(properties: Properties): JSX.Element {
  const { children, label, accept, multiple, folder, disabled, onFiles } = properties;
  const picked = (event: TargetedEvent<HTMLInputElement>): void => {
    const files = Array.from(event.currentTarget.files ?? []);
    // Cleared, so that picking the same file again is a change again.
    event.currentTarget.value = '';
    if (files.length > 0) onFiles(files);
  };
  return (
    <label class={`button ${properties.class ?? ''} ${disabled ? 'is-disabled' : ''}`}>
      {children}
      <input
        class="visually-hidden"
        type="file"
        aria-label={label}
        accept={accept}
        multiple={multiple}
        disabled={disabled}
        ref={(input) => {
          if (input) input.webkitdirectory = folder ?? false;
        }}
        onChange={picked}
      />
    </label>
  );
}
