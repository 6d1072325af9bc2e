// The camera's picture in a class's card: as long as the button is held, several pictures a second join the class.
import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { Recording } from '../actions/recording';
import { messageOf } from '../actions/errors';
import { webcamFor, type PhotoClass } from '../state';
import { Icon } from './Icon';

export function Webcam({ photoClass: { id, name } }: { photoClass: PhotoClass }): JSX.Element {
  const video = useRef<HTMLVideoElement>(null);
  const recording = useRef<Recording | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [isReady, setReady] = useState(false);
  const [isRecording, setRecording] = useState(false);

  useEffect(() => {
    let isGone = false;
    let stream: MediaStream | undefined;
    const stop = (): void => {
      recording.current?.close();
      for (const track of stream?.getTracks() ?? []) track.stop();
    };
    void (async () => {
      try {
        stream = await cameraStream();
        const element = video.current;
        if (isGone || !element) return;
        element.srcObject = stream;
        await element.play();
        recording.current = await Recording.open(element, id);
        if (!isGone) setReady(true);
      } catch (error) {
        if (!isGone) setProblem(messageOf(error));
      } finally {
        if (isGone) stop();
      }
    })();
    return () => {
      isGone = true;
      stop();
    };
  }, [id]);

  const hold = (): void => {
    recording.current?.start();
    setRecording(true);
  };
  const release = (): void => {
    recording.current?.stop();
    setRecording(false);
  };
  const isKey = (event: KeyboardEvent): boolean => event.key === ' ' || event.key === 'Enter';

  return (
    <div class="webcam" role="group" aria-label={`Webcam for ${name}`}>
      {problem === null ? (
        <video ref={video} class="webcam__picture" muted playsInline aria-label="What the camera sees" />
      ) : (
        <p class="field__problem" role="alert">
          {problem}
        </p>
      )}
      <div class="row">
        <button
          type="button"
          class={`button button--small ${isRecording ? 'webcam__hold--on' : 'button--primary'}`}
          disabled={!isReady}
          onPointerDown={(event) => {
            event.currentTarget.setPointerCapture(event.pointerId);
            hold();
          }}
          onPointerUp={release}
          onPointerCancel={release}
          onKeyDown={(event) => {
            if (!isKey(event)) return;
            event.preventDefault();
            if (!event.repeat) hold();
          }}
          onKeyUp={(event) => {
            if (isKey(event)) release();
          }}
          onBlur={release}
          onContextMenu={(event) => event.preventDefault()}
        >
          <Icon name="camera" />
          {isRecording ? 'Recording…' : 'Hold to record'}
        </button>
        <button type="button" class="button button--quiet button--small" onClick={() => (webcamFor.value = null)}>
          Close the camera
        </button>
      </div>
    </div>
  );
}

async function cameraStream(): Promise<MediaStream> {
  if (!('mediaDevices' in navigator))
    throw new Error('The camera can only be used on a secure address (https or localhost).');
  try {
    return await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 640 }, height: { ideal: 480 } } });
  } catch (error) {
    const reasons: Record<string, string> = {
      NotAllowedError:
        'The browser was not allowed to use the camera. Allow it beside the address, then open the camera again.',
      NotFoundError: 'There is no camera on this device.',
      NotReadableError: 'Another program is using the camera.',
    };
    const name = error instanceof DOMException ? error.name : '';
    throw new Error(reasons[name] ?? `The camera could not be started: ${messageOf(error)}`);
  }
}
