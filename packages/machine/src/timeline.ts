import { stripVTControlCharacters } from 'node:util';

/**
 * What a machine did when, until its boot was complete: what PID 1 of an lkt image says on the console, `lkt: STEP SECONDS`
 * (docs/guest.md).
 *
 * It is the guest's word: a program that writes to the console before the boot is complete can add steps, and a guest can say any
 * time. What is bounded is the form: {@link BootRecorder}.
 */
export interface Timeline {
  readonly version: 1;
  /** `complete` and `failures` are what PID 1 says at the end; `none` when it has not said it. */
  readonly end: 'complete' | 'failures' | 'none';
  /** Seconds between the start of QEMU and that of the guest's clock, at most: firmware, and the kernel unpacking itself. */
  readonly firmware: number;
  /** In the order of their starts. */
  readonly steps: readonly TimelineStep[];
  /** There were more steps than are kept. */
  readonly more?: true;
}

export interface TimelineStep {
  /** What PID 1 calls it, such as `onboot 001-dhcp`; `kernel` is all before PID 1. */
  readonly name: string;
  /** Seconds of the guest's clock, which starts with the kernel. Never after `end`. */
  readonly start: number;
  readonly end: number;
  readonly failed?: true;
}

const MOST_STEPS = 1000;
const LONGEST_NAME = 120;
/** What of a line without an end is looked at. */
const LONGEST_LINE = 4096;
/** Before it there may be the prompt of a program. */
const BEGIN = 'lkt: ';
const SAID = /^(\S.*) (\d{1,6}\.\d{3})\r*$/;
const COMPLETE = 'boot complete';
const ENDED = /^boot ended with \d+ failures$/;
const FAILED = /^(.+?) failed: /;
const STARTS = ' starts';

/**
 * Reads a console as it comes and makes a {@link Timeline} of it: at most 1000 steps, whose names are 120 characters without
 * control characters, with times below a million seconds. Lines of another form are passed over, and all after the end of the boot.
 */
export class BootRecorder {
  readonly #steps: TimelineStep[] = [];
  /** Steps that have said their start, and when it was. */
  readonly #started = new Map<string, number>();
  #line = '';
  /** When the last step ended of those that follow one another. */
  #now = 0;
  #firmware: number | undefined;
  #more = false;
  #end: Timeline['end'] = 'none';

  /** `seconds` have gone by since QEMU was started. */
  push(chunk: Uint8Array, seconds: number): void {
    if (this.ended) return;
    const lines = (this.#line + Buffer.from(chunk).toString('latin1')).split('\n');
    this.#line = (lines.pop() ?? '').slice(-LONGEST_LINE);
    for (const line of lines) if (!this.ended) this.#read(line.slice(-LONGEST_LINE), seconds);
  }

  /** PID 1 has said that the boot is over. */
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
    const begin = line.indexOf(BEGIN);
    if (begin === -1) return;
    const [, said, time] = SAID.exec(line.slice(begin + BEGIN.length)) ?? [];
    if (said === undefined) return;
    const at = Number(time);
    this.#firmware = Math.max(0, Math.min(this.#firmware ?? seconds, seconds - at));
    const text = plain(said);
    if (text === COMPLETE) this.#end = 'complete';
    else if (ENDED.test(text)) this.#end = 'failures';
    else if (text.endsWith(STARTS)) this.#start(nameOf(text.slice(0, -STARTS.length)), at);
    else this.#take(text, at);
  }

  #start(name: string, at: number): void {
    if (this.#started.size < MOST_STEPS) this.#started.set(name, at);
    else this.#more = true;
  }

  #take(text: string, at: number): void {
    if (this.#steps.length === MOST_STEPS) {
      this.#more = true;
      return;
    }
    const [, failed] = FAILED.exec(text) ?? [];
    const first = text === 'init' && this.#steps.length === 0;
    const name = nameOf(failed ?? (first ? 'kernel' : text));
    const own = this.#started.get(name);
    this.#started.delete(name);
    const start = Math.min(own ?? this.#now, at);
    // The next one follows on this one, unless this one ran beside others.
    if (own === undefined) this.#now = Math.max(this.#now, at);
    this.#steps.push({ name, start, end: at, failed: failed === undefined ? undefined : true });
  }
}

function plain(text: string): string {
  return stripVTControlCharacters(text).replaceAll(/[^\x20-\x7e]/g, '?');
}

function nameOf(text: string): string {
  return text.slice(0, LONGEST_NAME);
}
