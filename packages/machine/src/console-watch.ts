import { stripVTControlCharacters } from 'node:util';

/** Start of the panic message (kernel/panic.c); the reason follows. */
const PANIC = 'Kernel panic - not syncing';

/**
 * Watches a console: for expected texts and kernel panics, and keeps the last lines.
 *
 * Matches bytes, across chunk boundaries.
 */
export class ConsoleWatch {
  readonly #wanted: { readonly text: string; readonly bytes: Buffer; seen: boolean }[];
  readonly #overlap: number;
  readonly #keep: number;
  #recent: Buffer = Buffer.alloc(0);
  #panicked = false;

  constructor(expect: readonly string[], keepBytes: number = 16 * 1024) {
    this.#wanted = expect.map((text) => ({ text, bytes: Buffer.from(text), seen: false }));
    this.#overlap = Math.max(PANIC.length, ...this.#wanted.map(({ bytes }) => bytes.length)) - 1;
    this.#keep = Math.max(keepBytes, this.#overlap);
  }

  push(chunk: Uint8Array): void {
    const start = Math.max(0, this.#recent.length - this.#overlap);
    const all = Buffer.concat([this.#recent, chunk]);
    for (const wanted of this.#wanted) wanted.seen ||= all.indexOf(wanted.bytes, start) !== -1;
    this.#panicked ||= all.indexOf(PANIC, start) !== -1;
    this.#recent = all.length > this.#keep ? Buffer.from(all.subarray(-this.#keep)) : all;
  }

  /** Expected texts not seen yet. */
  get missing(): readonly string[] {
    return this.#wanted.filter(({ seen }) => !seen).map(({ text }) => text);
  }

  get panicked(): boolean {
    return this.#panicked;
  }

  /** Returns the last lines as plain text, without control characters and empty lines. */
  lastLines(count: number): readonly string[] {
    return stripVTControlCharacters(this.#recent.toString('utf8'))
      .split(/[\r\n]+/)
      .map((line) => line.replaceAll(/\p{Cc}/gu, ''))
      .filter((line) => line.trim() !== '')
      .slice(-count);
  }
}
