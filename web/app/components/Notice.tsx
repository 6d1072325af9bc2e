// A message beside the control that caused it. Errors are alerts: a screen reader says them at once. Good news it hears from the
// page's live region.
import type { ComponentChildren, JSX } from 'preact';
import { Icon } from './Icon';
import { clearErrors } from '../actions/errors';
import { errors, type Place } from '../state';

interface Properties {
  readonly kind: 'error' | 'info';
  readonly children: ComponentChildren;
  readonly onDismiss?: () => void;
}

export function Notice({ kind, children, onDismiss }: Properties): JSX.Element {
  return (
    <div class={`notice notice--${kind}`} role={kind === 'error' ? 'alert' : undefined}>
      <Icon name={kind === 'error' ? 'alert' : 'check'} />
      <div>{children}</div>
      {onDismiss && (
        <button
          type="button"
          class="button button--quiet button--icon"
          aria-label="Dismiss this message"
          onClick={onDismiss}
        >
          <Icon name="close" />
        </button>
      )}
    </div>
  );
}

/** The errors of one place, in the core's own words. */
export function Errors({ place }: { place: Place }): JSX.Element | null {
  const messages = errors.value[place];
  if (!messages || messages.length === 0) return null;
  return (
    <Notice kind="error" onDismiss={() => clearErrors(place)}>
      {messages.length === 1 ? (
        <p>{messages[0]}</p>
      ) : (
        <ul>
          {messages.map((message) => (
            <li key={message}>{message}</li>
          ))}
        </ul>
      )}
    </Notice>
  );
}
