import { stripVTControlCharacters } from 'node:util';

/**
 * The steps of a boot until it was complete, from the console messages of an lkt image's PID 1:
 * `lkt: STEP SECONDS` (docs/guest.md).
 *
 * Untrusted: any program that writes to the console before the boot is complete can add steps, and
 * a guest can claim any time. {@link BootRecorder} bounds only their form.
 */
export interface Timeline {
  readonly version: 1;
  /** `complete` and `failures` are PID 1's final messages; `none` without one. */
  readonly end: 'complete' | 'failures' | 'none';
  /**
   * Maximum seconds between the start of QEMU and that of the guest's clock: firmware, and
   * unpacking of the kernel.
   */
  readonly firmware: number;
  /** Ordered by start. */
  readonly steps: readonly TimelineStep[];
  /** More steps occurred than are kept. */
  readonly more?: true;
}

/** A step of the boot. */
export interface TimelineStep {
  /** PID 1's name of the step, such as `onboot 001-dhcp`; `kernel` is the time before PID 1. */
  readonly name: string;
  /** Seconds of the guest's clock, which starts with the kernel. Never after `end`. */
  readonly start: number;
  readonly end: number;
  readonly failed?: true;
}

export const MAX_STEPS = 1000;
export const MAX_NAME_CHARS = 120;
/** Maximum characters kept of an unfinished line. */
const MAX_LINE_CHARS = 4096;
/** May follow a program's prompt on the line. */
const LINE_PREFIX = 'lkt: ';
const STEP_LINE = /^(\S.*) (\d{1,6}\.\d{3})\r*$/;
const COMPLETE = 'boot complete';
const ENDED = /^boot ended with \d+ failures$/;
const FAILED = /^(.+?) failed: /;
const STARTS = ' starts';

/**
 * Reads a console in chunks and collects a {@link Timeline}: at most 1000 steps, with names of up
 * to 120 printable ASCII characters and times below a million seconds. Ignores lines of other
 * forms, and everything after the end of the boot.
 */
export class BootRecorder {
  readonly #steps: TimelineStep[] = [];
  /** Start times of the steps that announced their start. */
  readonly #started = new Map<string, number>();
  #line = '';
  /** End of the last step in sequence. */
  #now = 0;
  #firmware: number | undefined;
  #more = false;
  #end: Timeline['end'] = 'none';

  /** Reads a chunk that arrived `seconds` after the start of QEMU. */
  push(chunk: Uint8Array, seconds: number): void {
    if (this.ended) return;
    const lines = (this.#line + Buffer.from(chunk).toString('latin1')).split('\n');
    this.#line = (lines.pop() ?? '').slice(-MAX_LINE_CHARS);
    for (const line of lines) if (!this.ended) this.#read(line.slice(-MAX_LINE_CHARS), seconds);
  }

  /** Reports whether PID 1 has announced the end of the boot. */
  get ended(): boolean {
    return this.#end !== 'none';
  }

  get timeline(): Timeline {
    return {
      version: 1,
      end: this.#end,
      firmware: Math.round((this.#firmware ?? 0) * 1000) / 1000,
      steps: this.#steps.toSorted((a, b) => a.start - b.start || a.end - b.end),
      more: this.#more ? true : undefined,
    };
  }

  #read(line: string, seconds: number): void {
    const begin = line.indexOf(LINE_PREFIX);
    if (begin === -1) return;
    const [, step, time] = STEP_LINE.exec(line.slice(begin + LINE_PREFIX.length)) ?? [];
    if (step === undefined) return;
    const at = Number(time);
    this.#firmware = Math.max(0, Math.min(this.#firmware ?? seconds, seconds - at));
    const text = plain(step);
    if (text === COMPLETE) this.#end = 'complete';
    else if (ENDED.test(text)) this.#end = 'failures';
    else if (text.endsWith(STARTS)) this.#start(nameOf(text.slice(0, -STARTS.length)), at);
    else this.#finish(text, at);
  }

  #start(name: string, at: number): void {
    if (this.#started.size < MAX_STEPS) this.#started.set(name, at);
    else this.#more = true;
  }

  #finish(text: string, at: number): void {
    if (this.#steps.length === MAX_STEPS) {
      this.#more = true;
      return;
    }
    const [, failed] = FAILED.exec(text) ?? [];
    const first = text === 'init' && this.#steps.length === 0;
    const name = nameOf(failed ?? (first ? 'kernel' : text));
    const own = this.#started.get(name);
    this.#started.delete(name);
    const start = Math.min(own ?? this.#now, at);
    // The next step starts here, unless this one ran in parallel.
    if (own === undefined) this.#now = Math.max(this.#now, at);
    this.#steps.push({ name, start, end: at, failed: failed === undefined ? undefined : true });
  }
}

function plain(text: string): string {
  return stripVTControlCharacters(text).replaceAll(/[^\x20-\x7e]/g, '?');
}

function nameOf(text: string): string {
  return text.slice(0, MAX_NAME_CHARS);
}
