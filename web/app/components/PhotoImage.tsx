// A photo's thumbnail, fetched from the store when it is shown and let go when it is not.
import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { Photo } from '../state';
import { thumbnailOf } from '../store/pictures';

/** One transparent point: an image without an address would show the sign of a broken one until its thumbnail is there. */
const nothingYet = 'data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==';

export function PhotoImage({ photo: { id, name } }: { photo: Photo }): JSX.Element {
  const [address, setAddress] = useState<string | undefined>(nothingYet);
  useEffect(() => {
    let made: string | undefined;
    let isGone = false;
    thumbnailOf(id).then(
      (thumbnail) => {
        if (isGone) return;
        made = URL.createObjectURL(thumbnail);
        setAddress(made);
      },
      // Its name stands in its place.
      () => setAddress(undefined),
    );
    return () => {
      isGone = true;
      if (made) URL.revokeObjectURL(made);
    };
  }, [id]);
  return <img src={address} alt={name} title={name} width="64" height="64" draggable={false} />;
}
