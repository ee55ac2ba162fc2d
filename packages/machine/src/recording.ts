import { BootRecorder, type Timeline } from './timeline.ts';

/** Records a boot that began at `started`, of `performance.now()`, and tells of it once: when it is over, or the machine is. */
export class Recording {
  readonly #recorder = new BootRecorder();
  readonly #started: number;
  readonly #tell: (timeline: Timeline) => void;
  #open = true;

  constructor(started: number, tell: (timeline: Timeline) => void) {
    this.#started = started;
    this.#tell = tell;
  }

  /** It has not told yet. */
  get open(): boolean {
    return this.#open;
  }

  push(chunk: Uint8Array): void {
    if (!this.#open) return;
    this.#recorder.push(chunk, (performance.now() - this.#started) / 1000);
    if (this.#recorder.ended) this.stop();
  }

  /** There will be no more. */
  stop(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#tell(this.#recorder.timeline);
  }
}
