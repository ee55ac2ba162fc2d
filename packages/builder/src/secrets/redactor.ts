import type { SecretFinder } from './secret-finder.ts';

/** Takes secrets out of text that comes in pieces. A piece whose end may be the start of one waits for the next. */
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

  /** What is left at the end. */
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

  /** Length of the longest end of a text that a secret starts with. */
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
