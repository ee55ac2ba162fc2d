import type { SecretFinder } from './secret-finder.ts';

/**
 * Replaces secrets in text that arrives in pieces. The end of a piece that may begin a secret waits
 * for the next piece.
 */
export class Redactor {
  readonly #secrets: readonly string[];
  #pending = '';

  constructor(finder: SecretFinder) {
    this.#secrets = finder.texts;
  }

  add(text: string): string {
    if (this.#secrets.length === 0) return text;
    const replaced = this.#replace(this.#pending + text);
    const ready = replaced.length - this.#held(replaced);
    this.#pending = replaced.slice(ready);
    return replaced.slice(0, ready);
  }

  /** Returns the rest of the text. */
  end(): string {
    const rest = this.#pending;
    this.#pending = '';
    return rest;
  }

  #replace(text: string): string {
    let result = text;
    for (const secret of this.#secrets) result = result.replaceAll(secret, () => '***');
    return result;
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
