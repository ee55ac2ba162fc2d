import type { Screen } from '../src/progress/display.ts';

/**
 * Emulates the terminal sequences that the displays use: `\r`, `\n`, cursor up, erase to the end of
 * line or screen, hide and show the cursor.
 */
export class Terminal implements Screen {
  columns: number;
  readonly rows: number;
  readonly #lines: string[] = [''];
  readonly #first: number;
  #row = 0;
  #column = 0;
  writes = 0;
  /** Rows of the last cursor-up sequence. */
  ups = 0;
  cursor = true;

  constructor(columns: number, rows: number) {
    this.columns = columns;
    this.#first = columns;
    this.rows = rows;
  }

  write(text: string): void {
    this.writes += 1;
    // oxlint-disable-next-line no-control-regex
    for (const [token] of text.matchAll(/\u001b\[[?\d]*[A-Za-z]|[^\u001b]/gsu)) this.#take(token);
  }

  /** The visible text, without trailing empty lines. */
  get text(): string {
    return this.#lines
      .map((line) => line.trimEnd())
      .join('\n')
      .trimEnd();
  }

  #take(token: string): void {
    if (token === '\n') {
      this.#row += 1;
      this.#column = 0;
      if (this.#row === this.#lines.length) this.#lines.push('');
    } else if (token === '\r') {
      this.#column = 0;
    } else if (token.endsWith('A') && token.length > 1) {
      this.ups = Number(token.slice(2, -1));
      this.#row -= this.ups;
      if (this.#row < 0) {
        // Wrapped lines are one line here.
        if (this.columns === this.#first) throw new Error('the cursor went above the first line');
        this.#row = 0;
      }
    } else if (token.endsWith('J') && token.length > 1) {
      this.#lines.length = this.#row + 1;
      this.#lines[this.#row] = (this.#lines[this.#row] ?? '').slice(0, this.#column);
    } else if (token.endsWith('K') && token.length > 1) {
      this.#lines[this.#row] = (this.#lines[this.#row] ?? '').slice(0, this.#column);
    } else if (token.startsWith('\u001b')) {
      if (token.endsWith('l') || token.endsWith('h')) this.cursor = token.endsWith('h');
    } else {
      const line = (this.#lines[this.#row] ?? '').padEnd(this.#column);
      this.#lines[this.#row] = line.slice(0, this.#column) + token + line.slice(this.#column + 1);
      this.#column += 1;
      if (this.#column > this.columns) throw new Error(`a line is too long: ${line}`);
    }
  }
}
