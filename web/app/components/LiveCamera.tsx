// The camera's picture with what the model says of it, frame by frame.
import type { JSX } from 'preact';
import { camera } from '../camera';
import { stopCamera } from '../actions/classify';
import { liveAnswer } from '../state';
import { Icon } from './Icon';
import { Probabilities } from './Probabilities';

export function LiveCamera(): JSX.Element | null {
  const source = camera.value;
  if (!source) return null;
  return (
    <section class="stack" aria-label="Camera">
      <video
        class="result__picture"
        aria-label="What the camera sees"
        muted
        autoplay
        playsInline
        ref={(video) => {
          if (video && video.srcObject !== source.stream) video.srcObject = source.stream;
        }}
      />
      <button type="button" class="button" onClick={stopCamera}>
        <Icon name="stop" />
        Stop the camera
      </button>
      {liveAnswer.value && <Probabilities name="what the camera sees" probabilities={liveAnswer.value} />}
    </section>
  );
}
