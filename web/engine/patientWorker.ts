// A worker that is started again when its script did not arrive (WebKit loses one, now and then, while a service worker is being
// installed) or when it stands still (in Firefox, now and then, none of a new worker's timers and requests comes back while a service
// worker is active). What it was sent until its first answer is sent again.
const pauses: readonly number[] = [300, 1000, 3000];
/** ms without a sign of life. Longer each time: a slow network is no reason to begin anew for ever. */
const silences: readonly number[] = [5000, 10_000, 20_000];

export class PatientWorker<Request, Answer> {
  private worker!: Worker;
  private unanswered: Request[] | null = [];
  private tries = 0;
  private stills = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * `onFailure` gets the error's message, or none when the script did not arrive. `isSign`: which messages are no answers, but say
   * that the worker is at work; a worker that gives no such signs is not watched.
   */
  constructor(
    private readonly create: () => Worker,
    private readonly onAnswer: (answer: Answer) => void,
    private readonly onFailure: (message?: string) => void,
    private readonly isSign?: (message: Answer) => boolean,
  ) {
    this.start();
  }

  /** `transfer`: buffers that are handed over instead of copied, once the message need not be sent again. */
  post(message: Request, transfer: ArrayBuffer[] = []): void {
    this.unanswered?.push(message);
    this.worker.postMessage(message, this.unanswered ? [] : transfer);
    this.watch();
  }

  terminate(): void {
    clearTimeout(this.timer);
    this.worker.terminate();
  }

  private start(): void {
    const worker = this.create();
    this.worker = worker;
    worker.onmessage = ({ data }: MessageEvent<Answer>) => {
      if (this.isSign?.(data)) {
        this.watch();
        return;
      }
      clearTimeout(this.timer);
      this.unanswered = null;
      this.onAnswer(data);
    };
    worker.onmessageerror = () => {
      this.onFailure('a message could not be read');
    };
    worker.onerror = ({ message }: Partial<ErrorEvent>) => {
      clearTimeout(this.timer);
      const pause = message || !this.unanswered ? undefined : pauses[this.tries++];
      if (pause === undefined) this.onFailure(message);
      else this.timer = setTimeout(() => this.restart(), pause);
    };
  }

  /** Counts anew how long it has given no sign of life. */
  private watch(): void {
    const silence = silences[this.stills];
    if (!this.isSign || !this.unanswered || silence === undefined) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      ++this.stills;
      this.restart();
    }, silence);
  }

  private restart(): void {
    this.worker.terminate();
    this.start();
    for (const message of this.unanswered ?? []) this.worker.postMessage(message);
    this.watch();
  }
}
