// Whose the sample photos are, as long as one of them is there.
import { computed } from '@preact/signals';
import type { JSX } from 'preact';
import { classes } from '../state';

const credited = computed(() =>
  classes.value.flatMap(({ photos }) =>
    photos.flatMap(({ id, name, credit }) => (credit ? [{ id, name, ...credit }] : [])),
  ),
);

export function Credits(): JSX.Element | null {
  const photos = credited.value;
  if (photos.length === 0) return null;
  return (
    <details class="credits small">
      <summary>Credits of the {photos.length} sample photos</summary>
      <p class="soft">All are CC0 or in the public domain.</p>
      <ul>
        {photos.map(({ id, name, author, source, licence }) => (
          <li key={id}>
            {name}: {author},{' '}
            <a href={source} target="_blank" rel="noreferrer">
              source
            </a>
            , {licence}
          </li>
        ))}
      </ul>
    </details>
  );
}
