import { BootRecorder, type Timeline } from './timeline.ts';

/**
 * Records a boot and reports its timeline once, when the boot or the machine ends. `started` is a
 * time of `performance.now()`.
 */
export class TimelineReporter {
  readonly #recorder = new BootRecorder();
  readonly #started: number;
  readonly #report: (timeline: Timeline) => void;
  #isOpen = true;

  constructor(started: number, report: (timeline: Timeline) => void) {
    this.#started = started;
    this.#report = report;
  }

  /** Reports whether the timeline is still to be reported. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  push(chunk: Uint8Array): void {
    if (!this.#isOpen) return;
    this.#recorder.push(chunk, (performance.now() - this.#started) / 1000);
    if (this.#recorder.ended) this.stop();
  }

  /** Reports the timeline, unless that was done. */
  stop(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#report(this.#recorder.timeline);
  }
}
