// The camera as a source of frames. Nothing of it is kept or sent: a frame is pixels for the model, then forgotten.
import { signal } from '@preact/signals';

export interface CameraStream {
  readonly stream: MediaStream;
  /** The next frame; null when there is none yet. */
  readonly frame: () => Promise<ImageData | null>;
  readonly stop: () => void;
}

/** On while there is one. */
export const camera = signal<CameraStream | null>(null);

/** Long enough for 20 frames a second, which no eye tells from more; leaves the machine some air. */
const shortestFrame = 50;

export async function openCamera(): Promise<CameraStream> {
  // Not there on pages that came over plain http.
  const devices = navigator.mediaDevices as MediaDevices | undefined;
  if (!devices) throw new Error('a page without https cannot use it');
  const stream = await devices.getUserMedia({ video: { width: 640, height: 480 }, audio: false });
  const video = document.createElement('video');
  video.muted = true;
  video.playsInline = true;
  video.srcObject = stream;
  await video.play();
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (!context) throw new Error('this browser cannot draw its picture');
  return {
    stream,
    frame: async () => {
      await new Promise((resolve) => setTimeout(resolve, shortestFrame));
      const { videoWidth, videoHeight } = video;
      if (videoWidth === 0) return null;
      canvas.width = videoWidth;
      canvas.height = videoHeight;
      context.drawImage(video, 0, 0);
      return context.getImageData(0, 0, videoWidth, videoHeight);
    },
    stop: () => {
      for (const track of stream.getTracks()) track.stop();
      video.srcObject = null;
    },
  };
}
