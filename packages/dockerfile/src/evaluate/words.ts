import { compileGlob, type Glob, GlobError } from '../copy/glob.ts';
import { isSpace } from '../parse/raw-words.ts';
import { type Edit, parseWord, type Part, WordError } from './word-parser.ts';

/** Options of `expandWord` and `expandWords`. */
export interface ExpandOptions {
  readonly escape: string;
  /** Variables that are set. */
  readonly variables: ReadonlyMap<string, string>;
  /** Treats quotes as ordinary characters, as in a here-document. */
  readonly keepQuotes?: boolean;
  /** Called with each unset name that is used without a default. */
  readonly onUnset?: (name: string) => void;
  /** Called with each name that is used. */
  readonly onUse?: (name: string) => void;
}

/**
 * Removes quotes and escapes from a word and expands its variables (Dockerfile reference,
 * "Environment replacement").
 * @throws WordError for unbalanced quotes, bad substitutions, `${name:?message}`, and results over
 * 1 MiB
 */
export function expandWord(word: string, options: ExpandOptions): string {
  return new Expander(options).text(parseWord(word, options));
}

/**
 * Expands text like `expandWord`, and splits it at unquoted white space, also in the values of
 * variables. A quoted empty string is no word.
 * @throws WordError like `expandWord`
 */
export function expandWords(text: string, options: ExpandOptions): readonly string[] {
  return new Expander(options).fields(parseWord(text, options));
}

/** The maximum length of expanded text: `ENV A=$A$A` doubles with every line. */
const MAX_EXPANDED_LENGTH = 1024 * 1024;
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
    for (const part of parts) {
      if (part.kind === 'text') {
        fields.add(this.#counted(part.text), part.quoted);
        continue;
      }
      const value = this.#variable(part);
      fields.add(typeof value === 'string' ? value : this.text(value), part.quoted);
    }
    return fields.end();
  }

  /** Returns the value, or the parts of the default. */
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
        `set it with ARG, ENV or a build argument`,
      );
    }
    if (set === undefined) this.#options.onUnset?.(name);
    try {
      const edited = this.#edit(set ?? '', operation);
      if (edited !== undefined) return this.#counted(edited);
    } catch (error) {
      if (error instanceof GlobError) throw new WordError(part.index, error.message);
      throw error;
    }
    throw new WordError(part.index, `the value of ${name} is too long for this pattern`);
  }

  /** Returns undefined if the value is too long for the pattern. */
  #edit(value: string, operation: Edit): string | undefined {
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
    if (this.#length > MAX_EXPANDED_LENGTH)
      throw new WordError(0, 'the expanded text is longer than 1 MiB');
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

/**
 * Replaces the first or every match, each leftmost and longest. An empty match counts, except just
 * after another match, as in Go's regular expressions.
 * @returns undefined if that takes too many steps, or the result is too long
 */
function replace(value: string, glob: Glob, replacement: string, all: boolean): string | undefined {
  const characters = Array.from(value);
  let result = '';
  let steps = 0;
  let index = 0;
  let lastEnd = -1;
  while (index <= characters.length) {
    let longest: number | undefined;
    for (const length of glob.prefixes(characters, index)) {
      steps += Math.max(1, length - (longest ?? 0));
      longest = length;
    }
    steps += 1;
    if (steps > MAX_PATTERN_STEPS) return undefined;
    const isMatch = longest !== undefined && (longest > 0 || index > lastEnd);
    if (isMatch) result += replacement;
    const matched = longest ?? 0;
    if (matched === 0) result += characters[index] ?? '';
    index += Math.max(matched, 1);
    if (matched > 0) lastEnd = index;
    if (result.length > MAX_EXPANDED_LENGTH) return undefined;
    if (isMatch && !all) break;
  }
  return result + characters.slice(index).join('');
}

/** Collects fields; unquoted white space ends a field. */
class Fields {
  readonly #done: string[] = [];
  #current = '';

  add(text: string, quoted: boolean): void {
    if (quoted) {
      this.#current += text;
      return;
    }
    for (const char of text) {
      if (isSpace(char)) this.#finish();
      else this.#current += char;
    }
  }

  end(): readonly string[] {
    this.#finish();
    return this.#done;
  }

  #finish(): void {
    if (this.#current !== '') this.#done.push(this.#current);
    this.#current = '';
  }
}
