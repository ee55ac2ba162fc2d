import type { ProgressEvent, Reporter } from '@lkt/core';
import type { Clock } from './display.ts';
import { PACKAGE } from './steps.ts';

/** A step of a run, from its start to its end. */
export interface StepSpan {
  readonly id: string;
  readonly title: string;
  /** Name of the package whose step or part it is. */
  readonly package?: string;
  /** In seconds since the start of the run. */
  readonly start: number;
  readonly end: number;
  /** `stopped`: another step failed, or the run ended first. */
  readonly state: 'done' | 'cached' | 'failed' | 'stopped';
}

/** The steps of a run, by start. */
export interface RunTimeline {
  readonly version: 1;
  readonly steps: readonly StepSpan[];
  /** More steps occurred than are kept. */
  readonly more?: true;
}

const MAX_STEPS = 20_000;
const MAX_TITLE_CHARS = 300;

/** A reporter that records the times of steps, and passes every event on. */
export class StepRecorder implements Reporter {
  readonly #next: Reporter;
  readonly #clock: Clock;
  readonly #began: number;
  readonly #running = new Map<string, Omit<StepSpan, 'end' | 'state'>>();
  readonly #ended: StepSpan[] = [];
  #more = false;

  constructor(next: Reporter, clock: Clock) {
    this.#next = next;
    this.#clock = clock;
    this.#began = clock();
  }

  emit(event: ProgressEvent): void {
    if (event.kind === 'start') this.#start(event.id, event.title);
    else if (event.kind === 'done') this.#end(event.id, event.cached ? 'cached' : 'done');
    else if (event.kind === 'failed')
      this.#end(event.id, event.stopped === true ? 'stopped' : 'failed');
    this.#next.emit(event);
  }

  /** The steps so far; those that run are `stopped`. */
  get timeline(): RunTimeline {
    const end = this.#now();
    const running = [...this.#running.values()].map((step): StepSpan => ({
      ...step,
      end,
      state: 'stopped',
    }));
    const steps = [...this.#ended, ...running].toSorted((a, b) => a.start - b.start);
    return { version: 1, steps, ...(this.#more ? { more: true } : {}) };
  }

  /** Seconds since the start of the run, to the microsecond. */
  #now(): number {
    return Math.round((this.#clock() - this.#began) * 1000) / 1e6;
  }

  #start(id: string, title: string): void {
    if (this.#ended.length + this.#running.size >= MAX_STEPS) {
      this.#more = true;
      return;
    }
    this.#running.set(id, {
      id,
      title: title.slice(0, MAX_TITLE_CHARS),
      package: this.#packageOf(id),
      start: this.#now(),
    });
  }

  #end(id: string, state: StepSpan['state']): void {
    const step = this.#running.get(id);
    if (step === undefined) return;
    this.#running.delete(id);
    this.#ended.push({ ...step, end: this.#now(), state });
  }

  /** Package names, and step ids below them, may contain colons. */
  #packageOf(id: string): string | undefined {
    if (id.startsWith(PACKAGE)) return id.slice(PACKAGE.length);
    for (let colon = id.indexOf(':'); colon !== -1; colon = id.indexOf(':', colon + 1)) {
      const name = id.slice(0, colon);
      if (this.#running.has(`${PACKAGE}${name}`)) return name;
    }
    return undefined;
  }
}
