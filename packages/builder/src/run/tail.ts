/** The last lines of a text that arrives in pieces. */
export class Tail {
  readonly #limit: number;
  #text = '';

  constructor(lines: number) {
    this.#limit = lines;
  }

  add(text: string): void {
    this.#text = (this.#text + text).slice(-64 * 1024);
  }

  get text(): string {
    return this.#text.replace(/\n$/, '').split('\n').slice(-this.#limit).join('\n');
  }
}
