import type { SecretFinder } from './secret-finder.ts';

/**
 * Replaces secrets in text that arrives in pieces. The end of a piece that may begin a secret waits
 * for the next piece, also if it is a shorter secret.
 */
export class Redactor {
  /** The longest first. */
  readonly #secrets: readonly string[];
  #pending = '';

  constructor(finder: SecretFinder) {
    this.#secrets = finder.texts;
  }

  add(text: string): string {
    if (this.#secrets.length === 0) return text;
    return this.#replace(this.#pending + text, true);
  }

  /** Returns the rest of the text. */
  end(): string {
    return this.#replace(this.#pending, false);
  }

  /** @param waits keeps the end that may begin a secret */
  #replace(text: string, waits: boolean): string {
    this.#pending = '';
    let rest = this.#beginAfter(text, 0, waits);
    const next = this.#secrets.map((secret) => text.indexOf(secret));
    let result = '';
    let at = 0;
    for (;;) {
      let first = -1;
      for (const [index, secret] of this.#secrets.entries()) {
        let found = next[index] ?? -1;
        if (found !== -1 && found < at) found = text.indexOf(secret, at);
        next[index] = found;
        if (found !== -1 && (first === -1 || found < (next[first] ?? 0))) first = index;
      }
      const start = next[first] ?? text.length;
      // A longer secret than the text has left may begin there, or before it.
      if (rest < at) rest = this.#beginAfter(text, at, waits);
      if (rest <= start) {
        this.#pending = text.slice(rest);
        return result + text.slice(at, rest);
      }
      result += `${text.slice(at, start)}***`;
      at = start + (this.#secrets[first]?.length ?? 0);
    }
  }

  /** Returns where the end of a text begins, from a position on, that may begin a secret. */
  #beginAfter(text: string, from: number, waits: boolean): number {
    return waits ? text.length - this.#held(text.slice(from)) : text.length;
  }

  /** Returns the length of the longest end of a text with which a secret begins. */
  #held(text: string): number {
    let longest = 0;
    for (const secret of this.#secrets) {
      const first = secret[0] ?? '';
      const from = Math.max(0, text.length - secret.length + 1);
      let at = text.indexOf(first, from);
      while (at !== -1 && !secret.startsWith(text.slice(at))) at = text.indexOf(first, at + 1);
      if (at !== -1) longest = Math.max(longest, text.length - at);
    }
    return longest;
  }
}
