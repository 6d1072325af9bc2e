// Which random changes the training images get, with a photo of the project as training would see it.
import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { forgetPreview, previewAugmentation } from '../actions/augmentPreview';
import { toggleAugmentation } from '../actions/settings';
import { augmentations } from '../augmentations';
import { augmentPreview, classes, engineState, isBusy, isOpening, settings, type AugmentPreview } from '../state';

export function AugmentationChoice(): JSX.Element {
  const chosen = settings.value.augmentations;
  return (
    <fieldset class="augment" disabled={isBusy.value}>
      <legend class="models__legend">Augmentation</legend>
      <p class="soft small">
        Each time a picture is learned from it looks a little different. Helps where pictures are few.
      </p>
      <div class="augment__kinds">
        {augmentations.map(({ id, name, about }) => (
          <label key={id} class="switch small">
            <input
              type="checkbox"
              checked={chosen.includes(id)}
              aria-labelledby={`augment-${id}`}
              aria-describedby={`augment-${id}-about`}
              onChange={() => toggleAugmentation(id)}
            />
            <span>
              <span id={`augment-${id}`}>{name}</span>
              <span class="soft augment__about" id={`augment-${id}-about`}>
                {about}
              </span>
            </span>
          </label>
        ))}
      </div>
      {chosen.length > 0 && <Preview />}
    </fieldset>
  );
}

function Preview(): JSX.Element | null {
  const [place, setPlace] = useState(0);
  const photos = classes.value.flatMap((one) => one.photos);
  const photo = photos[place % Math.max(1, photos.length)];
  const { augmentations: chosen, model, imageSize, seed } = settings.value;
  const isPossible = engineState.value.status === 'ready' && !isOpening.value && !isBusy.value;
  useEffect(() => {
    if (photo && isPossible) void previewAugmentation(photo, settings.peek());
  }, [photo, isPossible, chosen.join(), model, imageSize, seed]);
  useEffect(() => forgetPreview, []);
  const shown = augmentPreview.value;
  if (!photo) return <p class="soft small">With images at hand you see here what it does to them.</p>;
  if (!shown) return null;
  return (
    <div class="augment__preview">
      <ul class="augment__looks" aria-label={`${shown.name}, augmented`}>
        {shown.looks.map((look, index) => (
          <li key={index}>
            <Look look={look} label={`${shown.name}, look ${index + 1}`} />
          </li>
        ))}
      </ul>
      <button
        type="button"
        class="button button--quiet button--small"
        // From class to class: neighbours are often alike.
        onClick={() => setPlace(place + Math.max(1, Math.ceil(photos.length / (classes.value.length + 0.5))))}
      >
        Show another picture
      </button>
    </div>
  );
}

function Look({ look, label }: { look: AugmentPreview['looks'][number]; label: string }): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const context = canvas.current?.getContext('2d');
    context?.putImageData(new ImageData(look.data, look.width, look.height), 0, 0);
  }, [look]);
  return <canvas ref={canvas} role="img" aria-label={label} width={look.width} height={look.height} />;
}
