// Takes pictures from a camera into a class. One time of holding the button is one change that can be undone.
import { Reader } from '../files/reader';
import { specFor } from '../models';
import { settings } from '../state';
import { addPhotos, describeChange, remember, undo } from './classes';
import { showError } from './errors';
import { plural } from '../components/words';

/** Milliseconds between two pictures. */
const interval = 125;

let taken = 0;

export class Recording {
  private timer: ReturnType<typeof setInterval> | undefined;
  private readonly canvas = document.createElement('canvas');
  private readonly underWay = new Set<Promise<void>>();
  private added = 0;

  private constructor(
    private readonly video: HTMLVideoElement,
    private readonly classId: number,
    private readonly reader: Reader,
  ) {}

  static async open(video: HTMLVideoElement, classId: number): Promise<Recording> {
    return new Recording(video, classId, await Reader.open(specFor(settings.value).input, 1));
  }

  start(): void {
    if (this.timer !== undefined) return;
    this.added = 0;
    remember('Recorded images.');
    this.take();
    this.timer = setInterval(() => this.take(), interval);
  }

  stop(): void {
    if (this.timer === undefined) return;
    clearInterval(this.timer);
    this.timer = undefined;
    void Promise.all(this.underWay).then(() => {
      if (this.added === 0) undo();
      else describeChange(`Recorded ${plural(this.added, 'image')}.`);
    });
  }

  close(): void {
    this.stop();
    void Promise.all(this.underWay).then(() => this.reader.close());
  }

  private take(): void {
    // A device that is slower than the camera takes fewer pictures.
    if (this.underWay.size >= 4) return;
    const work = this.keep().finally(() => this.underWay.delete(work));
    this.underWay.add(work);
  }

  private async keep(): Promise<void> {
    const { videoWidth, videoHeight } = this.video;
    if (videoWidth === 0) return;
    this.canvas.width = videoWidth;
    this.canvas.height = videoHeight;
    this.canvas.getContext('2d')?.drawImage(this.video, 0, 0);
    const picture = await new Promise<Blob | null>((resolve) => this.canvas.toBlob(resolve, 'image/jpeg', 0.92));
    if (!picture) return;
    const name = `webcam-${++taken}.jpg`;
    const result = await this.reader.readOne({ name, open: () => Promise.resolve(picture) });
    if ('photo' in result) {
      ++this.added;
      addPhotos(this.classId, [result.photo]);
    } else {
      showError('data', `${result.name}: ${result.failure}`);
    }
  }
}
