// Groups of photos that are the same or look alike, side by side, each with its class and a button that removes it.
import type { JSX } from 'preact';
import { removePhotos } from '../actions/classes';
import { isBusy, photoPlaces } from '../state';
import { Icon } from './Icon';
import { PhotoImage } from './PhotoImage';
import { plural } from './words';

/** Drawn at once; as groups are settled, others move up. */
const mostGroups = 20;
const mostPhotos = 12;

export function SimilarPhotos({ groups }: { groups: readonly (readonly number[])[] }): JSX.Element {
  return (
    <ol class="similar" aria-label="Groups of images">
      {groups.slice(0, mostGroups).map((group) => (
        <li key={group[0]} class="similar__group">
          {group.slice(0, mostPhotos).map((id) => (
            <SimilarPhoto key={id} id={id} />
          ))}
          {group.length > mostPhotos && <span class="soft small">and {group.length - mostPhotos} more</span>}
        </li>
      ))}
      {groups.length > mostGroups && <li class="soft small">and {plural(groups.length - mostGroups, 'more group')}</li>}
    </ol>
  );
}

function SimilarPhoto({ id }: { id: number }): JSX.Element | null {
  const place = photoPlaces.value.get(id);
  if (!place) return null;
  const { photo, photoClass } = place;
  return (
    <figure class="similar__one">
      <PhotoImage photo={photo} />
      <figcaption class="small">{photoClass.name}</figcaption>
      <button
        type="button"
        class="photo__remove"
        aria-label={`Remove ${photo.name} from ${photoClass.name}`}
        disabled={isBusy.value}
        onClick={() => removePhotos([id])}
      >
        <Icon name="close" />
      </button>
    </figure>
  );
}
