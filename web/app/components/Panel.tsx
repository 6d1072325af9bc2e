// One of the three steps: a numbered heading, a short summary, and what belongs to it.
import type { ComponentChildren, JSX } from 'preact';

interface Properties {
  readonly id: string;
  readonly number?: number;
  readonly title: string;
  readonly summary?: string | null;
  readonly children: ComponentChildren;
}

export function Panel({ id, number, title, summary, children }: Properties): JSX.Element {
  return (
    <section class={`panel panel--${id}`} id={id} aria-labelledby={`${id}-title`} tabIndex={-1}>
      <header class="panel__head">
        {number !== undefined && (
          <span class="panel__number" aria-hidden="true">
            {number}
          </span>
        )}
        <h2 id={`${id}-title`}>{title}</h2>
        {summary && <p class="panel__summary numbers">{summary}</p>}
      </header>
      {children}
    </section>
  );
}
