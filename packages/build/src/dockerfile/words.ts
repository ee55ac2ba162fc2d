import { compileGlob, GlobError, type Glob } from './glob.ts';
import { isSpace } from './raw-words.ts';

/** What is wrong with a word, and where in it. The caller knows the word's place and turns it into an LktError. */
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

export interface ExpandOptions {
  readonly escape: string;
  /** Set values; an unset name is not in it. */
  readonly variables: ReadonlyMap<string, string>;
  /** Quotes are ordinary characters, as in a here-document. */
  readonly keepQuotes?: boolean;
  /** Told every name that is used without a default while it is unset. */
  readonly onUnset?: (name: string) => void;
  /** Told every name that is used. */
  readonly onUse?: (name: string) => void;
}

/**
 * Removes quotes and escapes from a word and replaces its variables (Dockerfile reference, "Environment replacement").
 * @throws WordError for unbalanced quotes, bad substitutions, `${name:?message}`, and results beyond 1 MiB.
 */
export function expandWord(word: string, options: ExpandOptions): string {
  return new Expander(options).text(parseWord(word, options));
}

/**
 * Like `expandWord`, and splits at white space that is not quoted, also in the values of variables. Quoted nothing is
 * a word.
 */
export function expandWords(text: string, options: ExpandOptions): readonly string[] {
  return new Expander(options).fields(parseWord(text, options));
}

type Part =
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
  /** With the colon: an empty value counts as unset. */
  readonly emptyCounts: boolean;
  readonly word: readonly Part[];
}

interface Edit {
  readonly kind: '#' | '##' | '%' | '%%' | '/' | '//';
  readonly pattern: readonly Part[];
  /** Of `/` and `//`. */
  readonly replacement: readonly Part[];
}

const NAME = /[\p{L}_][\p{L}\p{Nd}_]*|\p{Nd}+|[@*#?$!-]/uy;
const MODIFIERS = 'use one of the modifiers :- :+ :? - + ? # ## % %% / //';
/** Nested `${a:-${b:-…}}` deeper than this is refused: the parser recurses. */
const MAX_DEPTH = 64;

function parseWord(text: string, options: ExpandOptions): readonly Part[] {
  return new WordParser(text, options).parts('', false);
}

class WordParser {
  readonly #text: string;
  readonly #escape: string;
  readonly #keepQuotes: boolean;
  #at = 0;
  #depth = 0;

  constructor(text: string, options: ExpandOptions) {
    this.#text = text;
    this.#escape = options.escape;
    this.#keepQuotes = options.keepQuotes ?? false;
  }

  /**
   * Reads up to one of the characters of `stop`, which is left unread.
   * @param pattern escapes are for the pattern to resolve, so they stay.
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

  /** Inside double quotes the escape character stands for itself except before `"`, `$` and itself. */
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
    throw new WordError(index, `a ${quote} has no partner`, 'close the quote, or escape it');
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
    if (this.#depth > MAX_DEPTH) throw new WordError(index, 'too many ${…} inside each other');
    this.#at += 1;
    const name = this.#name();
    if (name === '') {
      throw new WordError(index, 'bad substitution: ${ is not followed by a name', 'escape the $');
    }
    const operation = this.#operation(index, name);
    if (this.#text[this.#at] !== '}') {
      throw new WordError(index, `bad substitution: \${${name} has no closing }`, 'add the }');
    }
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
      const pattern = this.parts('/}', true);
      if (this.#text[this.#at] !== '/') {
        throw new WordError(
          index,
          `bad substitution: \${${name}/ has a pattern and no replacement`,
          `write \${${name}/pattern/replacement}`,
        );
      }
      this.#at += 1;
      return { kind: all ? '//' : '/', pattern, replacement: this.parts('}', true) };
    }
    const found = `${emptyCounts ? ':' : ''}${kind ?? ''}`;
    throw new WordError(index, `bad substitution: \${${name}${found} is not known`, MODIFIERS);
  }
}

/** `ENV A=$A$A` doubles with every line; this is where that ends. */
const MAX_LENGTH = 1024 * 1024;
const MAX_PATTERN_STEPS = 20_000_000;

class Expander {
  readonly #options: ExpandOptions;
  #length = 0;

  constructor(options: ExpandOptions) {
    this.#options = options;
  }

  text(parts: readonly Part[]): string {
    return parts
      .map((part) => {
        if (part.kind === 'text') return this.#counted(part.text);
        const value = this.#variable(part);
        return typeof value === 'string' ? value : this.text(value);
      })
      .join('');
  }

  fields(parts: readonly Part[]): readonly string[] {
    const fields = new Fields();
    this.#addFields(fields, parts);
    return fields.end();
  }

  #addFields(fields: Fields, parts: readonly Part[]): void {
    for (const part of parts) {
      if (part.kind === 'text') {
        fields.add(this.#counted(part.text), part.quoted);
        continue;
      }
      const value = this.#variable(part);
      if (typeof value === 'string') fields.add(value, part.quoted);
      else if (part.quoted) fields.add(this.text(value), true);
      else this.#addFields(fields, value);
    }
  }

  /** The value, or the parts of the default that takes its place. */
  #variable(part: Part & { kind: 'variable' }): string | readonly Part[] {
    const { name, operation } = part;
    const set = this.#options.variables.get(name);
    this.#options.onUse?.(name);
    if (operation === undefined) {
      if (set === undefined) this.#options.onUnset?.(name);
      return this.#counted(set ?? '');
    }
    if ('word' in operation) {
      const present = set !== undefined && !(operation.emptyCounts && set === '');
      if (operation.kind === '+') return present ? operation.word : '';
      if (present) return this.#counted(set);
      if (operation.kind === '-') return operation.word;
      const message = this.text(operation.word);
      const missing = `is ${set === undefined ? 'not set' : 'empty'}`;
      throw new WordError(
        part.index,
        `${name}: ${message === '' ? missing : message}`,
        `give it a value with ARG, ENV or a build argument`,
      );
    }
    if (set === undefined) this.#options.onUnset?.(name);
    try {
      return this.#counted(this.#edit(set ?? '', operation));
    } catch (error) {
      if (error instanceof GlobError) throw new WordError(part.index, error.message);
      if (error instanceof TooMuchWork) {
        throw new WordError(part.index, `the value of ${name} is too long for this pattern`);
      }
      throw error;
    }
  }

  #edit(value: string, operation: Edit): string {
    const glob = compileGlob(this.text(operation.pattern), {
      separator: '',
      deep: false,
      classes: false,
    });
    switch (operation.kind) {
      case '#':
      case '##':
        return cutPrefix(value, glob, operation.kind === '##');
      case '%':
      case '%%': {
        const reversed = Array.from(value).toReversed().join('');
        const cut = cutPrefix(reversed, glob.reversed(), operation.kind === '%%');
        return Array.from(cut).toReversed().join('');
      }
      case '/':
      case '//':
        return replace(value, glob, this.text(operation.replacement), operation.kind === '//');
      default:
        return operation.kind satisfies never;
    }
  }

  #counted(text: string): string {
    this.#length += text.length;
    if (this.#length > MAX_LENGTH) {
      throw new WordError(0, 'the expanded text is longer than 1 MiB');
    }
    return text;
  }
}

function cutPrefix(value: string, glob: Glob, longest: boolean): string {
  const characters = Array.from(value);
  let cut = 0;
  for (const length of glob.prefixes(characters, 0)) {
    cut = length;
    if (!longest) break;
  }
  return characters.slice(cut).join('');
}

class TooMuchWork extends Error {}

/** Replaces the first or every match, each as far left and as long as can be. An empty match replaces nothing. */
function replace(value: string, glob: Glob, replacement: string, all: boolean): string {
  const characters = Array.from(value);
  let result = '';
  let steps = 0;
  let index = 0;
  while (index < characters.length) {
    let longest = 0;
    for (const length of glob.prefixes(characters, index)) {
      steps += Math.max(1, length - longest);
      longest = length;
    }
    steps += 1;
    if (steps > MAX_PATTERN_STEPS) throw new TooMuchWork();
    if (longest === 0) {
      result += characters[index] ?? '';
      index += 1;
      continue;
    }
    result += replacement;
    index += longest;
    if (result.length > MAX_LENGTH) throw new TooMuchWork();
    if (!all) break;
  }
  return result + characters.slice(index).join('');
}

/** Collects fields: white space outside quotes ends one. */
class Fields {
  readonly #done: string[] = [];
  #current: string | undefined;

  add(text: string, quoted: boolean): void {
    if (quoted) {
      this.#current = (this.#current ?? '') + text;
      return;
    }
    for (const char of text) {
      if (isSpace(char)) this.#finish();
      else this.#current = (this.#current ?? '') + char;
    }
  }

  end(): readonly string[] {
    this.#finish();
    return this.#done;
  }

  #finish(): void {
    if (this.#current !== undefined) this.#done.push(this.#current);
    this.#current = undefined;
  }
}
