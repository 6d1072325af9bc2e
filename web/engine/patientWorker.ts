// A worker that is started again when its script did not arrive: WebKit loses one, now and then, while a service worker is being
// installed. What it was sent until its first answer is sent again.
const pauses: readonly number[] = [300, 1000, 3000];

export class PatientWorker<Request, Answer> {
  private worker!: Worker;
  private unanswered: Request[] | null = [];
  private tries = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  /** `onFailure` gets the error's message, or none when the script did not arrive. */
  constructor(
    private readonly create: () => Worker,
    private readonly onAnswer: (answer: Answer) => void,
    private readonly onFailure: (message?: string) => void,
  ) {
    this.start();
  }

  post(message: Request): void {
    this.unanswered?.push(message);
    this.worker.postMessage(message);
  }

  terminate(): void {
    clearTimeout(this.timer);
    this.worker.terminate();
  }

  private start(): void {
    const worker = this.create();
    this.worker = worker;
    worker.onmessage = ({ data }: MessageEvent<Answer>) => {
      this.unanswered = null;
      this.onAnswer(data);
    };
    worker.onmessageerror = () => {
      this.onFailure('a message could not be read');
    };
    worker.onerror = ({ message }: Partial<ErrorEvent>) => {
      const pause = message || !this.unanswered ? undefined : pauses[this.tries++];
      if (pause === undefined) this.onFailure(message);
      else this.timer = setTimeout(() => this.restart(), pause);
    };
  }

  private restart(): void {
    this.worker.terminate();
    this.start();
    for (const message of this.unanswered ?? []) this.worker.postMessage(message);
  }
}
