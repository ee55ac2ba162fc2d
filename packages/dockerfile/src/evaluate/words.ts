import { compileGlob, type Glob, GlobError } from '../copy/glob.ts';
import { isSpace } from '../parse/raw-words.ts';
import { type Edit, parseWord, type Part, WordError } from './word-parser.ts';

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
