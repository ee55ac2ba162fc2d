import { printable } from '../output/printable.ts';

const MAX_LINE_CHARS = 8192;
const MAX_TAIL = 30;

/**
 * Watches the console of a machine for lines that match patterns, from its start, and keeps the
 * last lines. Memory is bounded, regardless of what the guest writes.
 */
export class ConsolePatterns {
  readonly #seen = new Map<RegExp, string>();
  readonly #waiting = new Map<RegExp, PromiseWithResolvers<string>>();
  #rest = '';
  #tail: string[] = [];

  /** @param patterns the only ones that `match` may wait for */
  constructor(patterns: Iterable<RegExp>) {
    for (const pattern of patterns) this.#waiting.set(pattern, Promise.withResolvers());
  }

  push(chunk: Uint8Array): void {
    const lines = (this.#rest + Buffer.from(chunk).toString('latin1')).split('\n');
    this.#rest = (lines.pop() ?? '').slice(-MAX_LINE_CHARS);
    for (const line of lines) this.#line(line.slice(-MAX_LINE_CHARS));
  }

  /** Resolves to the first line that matches a pattern. */
  async match(pattern: RegExp): Promise<string> {
    const seen = this.#seen.get(pattern);
    if (seen !== undefined) return seen;
    const waiting = this.#waiting.get(pattern);
    if (waiting === undefined) throw new Error(`${pattern.source} is not watched`);
    return waiting.promise;
  }

  /** The last lines, without empty ones. */
  get tail(): readonly string[] {
    const rest = printable(this.#rest);
    return [...this.#tail, ...(rest.trim() === '' ? [] : [rest])].slice(-MAX_TAIL);
  }

  #line(raw: string): void {
    const line = printable(Buffer.from(raw, 'latin1').toString('utf8'));
    for (const [pattern, { resolve }] of this.#waiting) {
      if (!pattern.test(line)) continue;
      this.#seen.set(pattern, line);
      this.#waiting.delete(pattern);
      resolve(line);
    }
    if (line.trim() !== '') this.#tail = [...this.#tail.slice(1 - MAX_TAIL), line];
  }
}
