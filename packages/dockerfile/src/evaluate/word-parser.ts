/**
 * A problem with a word, and its index in the word. The caller knows the word's position and turns
 * this into an LktError.
 */
export class WordError extends Error {
  override readonly name: string = 'WordError';
  readonly index: number;
  readonly fix: string | undefined;

  constructor(index: number, message: string, fix?: string) {
    super(message);
    this.index = index;
    this.fix = fix;
  }
}

/**
 * Parses a word of a Dockerfile into text, quoted or not, and variables with their modifiers.
 * @throws WordError for unbalanced quotes and bad substitutions
 */
export function parseWord(
  text: string,
  options: { readonly escape: string; readonly keepQuotes?: boolean },
): readonly Part[] {
  return new WordParser(text, options).parts('', false);
}

/** A part of a word. */
export type Part =
  | { readonly kind: 'text'; readonly text: string; readonly quoted: boolean }
  | {
      readonly kind: 'variable';
      readonly name: string;
      readonly index: number;
      readonly quoted: boolean;
      readonly operation: Operation | undefined;
    };

type Operation = Conditional | Edit;

interface Conditional {
  readonly kind: '-' | '+' | '?';
  /** Set by the colon: an empty value counts as unset. */
  readonly emptyCounts: boolean;
  readonly word: readonly Part[];
}

/** A modifier that edits the value: `#`, `##`, `%`, `%%`, `/` or `//`. */
export interface Edit {
  readonly kind: '#' | '##' | '%' | '%%' | '/' | '//';
  readonly pattern: readonly Part[];
  /** Only for `/` and `//`. */
  readonly replacement: readonly Part[];
}

const NAME = /[\p{L}_][\p{L}\p{Nd}_]*|\p{Nd}+|[@*#?$!-]/uy;
const MODIFIERS = 'use one of the modifiers :- :+ :? - + ? # ## % %% / //';
/** The maximum nesting of `${a:-${b:-…}}`, because the parser recurses. */
const MAX_DEPTH = 64;

class WordParser {
  readonly #text: string;
  readonly #escape: string;
  readonly #keepQuotes: boolean;
  #at = 0;
  #depth = 0;

  constructor(text: string, options: { readonly escape: string; readonly keepQuotes?: boolean }) {
    this.#text = text;
    this.#escape = options.escape;
    this.#keepQuotes = options.keepQuotes ?? false;
  }

  /**
   * Reads up to one of the characters of `stop`, which stays unread.
   * @param pattern keeps escapes, which the pattern resolves later
   */
  parts(stop: string, pattern: boolean): readonly Part[] {
    const parts: Part[] = [];
    let literal = '';
    const flush = (): void => {
      if (literal !== '') parts.push({ kind: 'text', text: literal, quoted: false });
      literal = '';
    };
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at] ?? '';
      if (stop.includes(char)) break;
      if (char === this.#escape) {
        flush();
        const escaped = this.#text[this.#at + 1] ?? '';
        const kept = pattern ? char + escaped : escaped;
        if (kept !== '') parts.push({ kind: 'text', text: kept, quoted: true });
        this.#at += 2;
      } else if (char === '$') {
        flush();
        parts.push(this.#dollar(false));
      } else if (!this.#keepQuotes && (char === "'" || char === '"')) {
        flush();
        if (char === "'") parts.push(this.#single());
        else parts.push(...this.#double());
      } else {
        literal += char;
        this.#at += 1;
      }
    }
    flush();
    return parts;
  }

  #single(): Part {
    const close = this.#text.indexOf("'", this.#at + 1);
    if (close === -1) this.#unbalanced("'", this.#at);
    const text = this.#text.slice(this.#at + 1, close);
    this.#at = close + 1;
    return { kind: 'text', text, quoted: true };
  }

  /** Inside double quotes the escape character is literal except before `"`, `$` and itself. */
  #double(): readonly Part[] {
    const open = this.#at;
    const parts: Part[] = [];
    let literal = '';
    this.#at += 1;
    for (;;) {
      const char = this.#text[this.#at];
      if (char === undefined) this.#unbalanced('"', open);
      if (char === '"') break;
      const following = this.#text[this.#at + 1];
      if (char === '$') {
        parts.push({ kind: 'text', text: literal, quoted: true }, this.#dollar(true));
        literal = '';
      } else if (
        char === this.#escape &&
        (following === '"' || following === '$' || following === this.#escape)
      ) {
        literal += following;
        this.#at += 2;
      } else {
        literal += char;
        this.#at += 1;
      }
    }
    this.#at += 1;
    parts.push({ kind: 'text', text: literal, quoted: true });
    return parts;
  }

  #unbalanced(quote: string, index: number): never {
    throw new WordError(index, `unclosed ${quote}`, 'close the quote, or escape it');
  }

  #dollar(quoted: boolean): Part {
    const index = this.#at;
    this.#at += 1;
    if (this.#text[this.#at] !== '{') {
      const name = this.#name();
      if (name === '') return { kind: 'text', text: '$', quoted: true };
      return { kind: 'variable', name, index, quoted, operation: undefined };
    }
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH) throw new WordError(index, '${…} is nested too deeply');
    this.#at += 1;
    const name = this.#name();
    if (name === '')
      throw new WordError(index, 'bad substitution: ${ is not followed by a name', 'escape the $');
    const operation = this.#operation(index, name);
    if (this.#text[this.#at] !== '}')
      throw new WordError(index, `bad substitution: \${${name} has no closing }`, 'add the }');
    this.#at += 1;
    this.#depth -= 1;
    return { kind: 'variable', name, index, quoted, operation };
  }

  #name(): string {
    NAME.lastIndex = this.#at;
    const name = NAME.exec(this.#text)?.[0] ?? '';
    this.#at += name.length;
    return name;
  }

  #operation(index: number, name: string): Operation | undefined {
    const char = this.#text[this.#at];
    if (char === '}' || char === undefined) return undefined;
    const emptyCounts = char === ':';
    if (emptyCounts) this.#at += 1;
    const kind = this.#text[this.#at];
    if (kind === '-' || kind === '+' || kind === '?') {
      this.#at += 1;
      return { kind, emptyCounts, word: this.parts('}', false) };
    }
    if (!emptyCounts && (kind === '#' || kind === '%')) {
      const twice = this.#text[this.#at + 1] === kind;
      this.#at += twice ? 2 : 1;
      const pattern = this.parts('}', true);
      const once = kind === '#' ? '#' : '%';
      const doubled = kind === '#' ? '##' : '%%';
      return { kind: twice ? doubled : once, pattern, replacement: [] };
    }
    if (!emptyCounts && kind === '/') {
      const all = this.#text[this.#at + 1] === '/';
      this.#at += all ? 2 : 1;
      const pattern = this.parts('/', true);
      if (this.#text[this.#at] !== '/')
        throw new WordError(
          index,
          `bad substitution: \${${name}/ has a pattern but no replacement`,
          `write \${${name}/pattern/replacement}`,
        );
      this.#at += 1;
      return { kind: all ? '//' : '/', pattern, replacement: this.parts('}', true) };
    }
    const found = `${emptyCounts ? ':' : ''}${kind ?? ''}`;
    throw new WordError(
      index,
      `bad substitution: unknown modifier in \${${name}${found}`,
      MODIFIERS,
    );
  }
}
