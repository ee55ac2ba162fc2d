import { formatPlatform, type Platform } from '@lkt/oci';
import type { Dockerfile, Place, Warning, Word } from './ast.ts';
import { placeError } from './source-text.ts';
import { WordError } from './word-parser.ts';
import { expandWord, expandWords, type ExpandOptions } from './words.ts';

/** Expands words of one Dockerfile; what goes wrong becomes an error at the word, unset variables become warnings. */
export class WordReader {
  readonly #dockerfile: Dockerfile;
  readonly #warnings: Warning[];
  readonly #warned = new Set<string>();

  constructor(dockerfile: Dockerfile, warnings: Warning[]) {
    this.#dockerfile = dockerfile;
    this.#warnings = warnings;
  }

  word(word: Word, variables: ReadonlyMap<string, string>): string {
    return this.#run(word, word.text, variables, (options) => expandWord(word.text, options));
  }

  words(word: Word, variables: ReadonlyMap<string, string>): readonly string[] {
    return this.#run(word, word.text, variables, (options) => expandWords(word.text, options));
  }

  /** Text whose place is that of the whole flag or instruction. */
  text(place: Place, text: string, variables: ReadonlyMap<string, string>): string {
    return this.#run(place, undefined, variables, (options) => expandWord(text, options));
  }

  /** The body of a here-document: quotes are ordinary characters, and the escape character is always `\`. */
  body(place: Place, text: string, variables: ReadonlyMap<string, string>): string {
    return this.#run(place, undefined, variables, (options) =>
      expandWord(text, { ...options, escape: '\\', keepQuotes: true }),
    );
  }

  #run<T>(
    place: Place,
    written: string | undefined,
    variables: ReadonlyMap<string, string>,
    expand: (options: ExpandOptions) => T,
  ): T {
    try {
      return expand({
        escape: this.#dockerfile.directives.escape,
        variables,
        onUnset: (name) => this.#warn(place, name),
      });
    } catch (error) {
      if (!(error instanceof WordError)) throw error;
      throw placeError(
        this.#dockerfile.file,
        written === undefined ? place : inside(place, written, error.index),
        error.message,
        error.fix,
      );
    }
  }

  #warn(place: Place, name: string): void {
    const key = `${place.offset} ${name}`;
    if (this.#warned.has(key)) return;
    this.#warned.add(key);
    this.#warnings.push({
      position: place.position,
      text: `the variable ${name} is not set, so nothing takes its place`,
      rule: 'UndefinedVar',
    });
  }
}

/** The rest of a word from an index of its text, if the word stands in the file as it is. */
function inside(place: Place, written: string, index: number): Place {
  if (place.length !== written.length || index >= written.length) return place;
  return {
    position: { line: place.position.line, column: place.position.column + index },
    offset: place.offset + index,
    length: place.length - index,
  };
}

/**
 * The variables FROM can use: the platform arguments and the ARGs before the first FROM, each with the build argument
 * of its name in front of its default (Dockerfile reference, "Understand how ARG and FROM interact").
 */
export function globalVariables(
  dockerfile: Dockerfile,
  reader: WordReader,
  buildArgs: ReadonlyMap<string, string>,
  platforms: { readonly target: Platform; readonly build: Platform },
): ReadonlyMap<string, string> {
  const variables = new Map<string, string>();
  const add = (name: string, fallback: string | undefined): void => {
    const value = buildArgs.get(name) ?? fallback;
    if (value !== undefined) variables.set(name, value);
  };
  for (const [prefix, platform] of [
    ['BUILD', platforms.build],
    ['TARGET', platforms.target],
  ] as const) {
    add(`${prefix}PLATFORM`, formatPlatform(platform));
    add(`${prefix}OS`, platform.os);
    add(`${prefix}ARCH`, platform.architecture);
    add(`${prefix}VARIANT`, platform.variant ?? '');
  }
  for (const instruction of dockerfile.globalArgs) {
    for (const { name, value } of instruction.args) {
      add(name, value === undefined ? undefined : reader.word(value, variables));
    }
  }
  return variables;
}

/** Build arguments that RUN gets without an ARG (Dockerfile reference, "Predefined ARGs"). */
export const PROXY_ARGS: readonly string[] = [
  'HTTP_PROXY',
  'http_proxy',
  'HTTPS_PROXY',
  'https_proxy',
  'FTP_PROXY',
  'ftp_proxy',
  'NO_PROXY',
  'no_proxy',
  'ALL_PROXY',
  'all_proxy',
];
