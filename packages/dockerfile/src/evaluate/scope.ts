import { nearest } from '@lkt/core';
import { formatPlatform, type Platform } from '@lkt/oci';
import type { Dockerfile, Span, Warning, Word } from '../parse/ast.ts';
import { errorAt } from '../parse/source-text.ts';
import { WordError } from './word-parser.ts';
import { expandWord, expandWords, type ExpandOptions } from './words.ts';

const MAX_HINTS = 20;

/**
 * Expands words of one Dockerfile. An expansion error becomes an LktError at the word. An unset
 * variable becomes a warning.
 */
export class WordReader {
  readonly #dockerfile: Dockerfile;
  readonly #warnings: Warning[];
  readonly #warned = new Set<string>();

  constructor(dockerfile: Dockerfile, warnings: Warning[]) {
    this.#dockerfile = dockerfile;
    this.#warnings = warnings;
  }

  /**
   * Expands a word to one text.
   * @param rule the build check that reports an unset variable
   */
  word(word: Word, variables: ReadonlyMap<string, string>, rule = 'UndefinedVar'): string {
    return this.#run(word, word.text, variables, (options) => expandWord(word.text, options), rule);
  }

  /** Expands a word and splits it at unquoted white space. */
  words(word: Word, variables: ReadonlyMap<string, string>): readonly string[] {
    return this.#run(word, word.text, variables, (options) => expandWords(word.text, options));
  }

  /** Expands text that has no position of its own; errors point to the flag or instruction. */
  text(span: Span, text: string, variables: ReadonlyMap<string, string>): string {
    return this.#run(span, undefined, variables, (options) => expandWord(text, options));
  }

  /**
   * Expands the body of a here-document: quotes are ordinary characters, and the escape character
   * is always `\`.
   */
  body(span: Span, text: string, variables: ReadonlyMap<string, string>): string {
    return this.#run(span, undefined, variables, (options) =>
      expandWord(text, { ...options, escape: '\\', keepQuotes: true }),
    );
  }

  #run<T>(
    span: Span,
    written: string | undefined,
    variables: ReadonlyMap<string, string>,
    expand: (options: ExpandOptions) => T,
    rule = 'UndefinedVar',
  ): T {
    try {
      return expand({
        escape: this.#dockerfile.directives.escape,
        variables,
        onUnset: (name) => this.#warnUnset(span, name, { variables, rule }),
      });
    } catch (error) {
      if (!(error instanceof WordError)) throw error;
      throw errorAt(
        this.#dockerfile.file,
        written === undefined ? span : inside(span, written, error.index),
        error.message,
        error.fix,
      );
    }
  }

  /** Adds a warning, once per position and text. */
  warn({ position, offset }: Span, text: string, rule: string): void {
    const key = `${offset} ${text}`;
    if (this.#warned.has(key)) return;
    this.#warned.add(key);
    this.#warnings.push({ position, text, rule });
  }

  /** Returns the fix for a word that expands to nothing. */
  emptyFix({ text }: Word, variables: ReadonlyMap<string, string>): string {
    const names = [...text.matchAll(/\$\{?(\w+)/g)].map(([, name = '']) => name);
    const unset = names.find((name) => !variables.has(name));
    const near = unset === undefined ? undefined : this.#nearestName(unset, variables);
    return near === undefined ? 'set the variable' : `did you mean ${near}?`;
  }

  #nearestName(name: string, variables: ReadonlyMap<string, string>): string | undefined {
    const names = [...variables.keys(), ...declaredArgs(this.#dockerfile)].slice(0, 500);
    const others = names.filter((other) => other !== name);
    return name.length > 2 ? nearest(name, others) : undefined;
  }

  #warnUnset(
    span: Span,
    name: string,
    { variables, rule }: { variables: ReadonlyMap<string, string>; rule: string },
  ): void {
    // The user's environment sets these, not the Dockerfile.
    if (PROXY_ARGS.includes(name)) return;
    // The search for a similar name is slow, so it is limited to the first warnings.
    const near = this.#warned.size < MAX_HINTS ? this.#nearestName(name, variables) : undefined;
    const hint = near === undefined ? '' : `; did you mean ${near}?`;
    this.warn(span, `the variable ${name} is not set and expands to nothing${hint}`, rule);
  }
}

/**
 * Returns the rest of a word from an index of its text, or the whole word if it is not contiguous
 * in the file.
 */
function inside(span: Span, written: string, index: number): Span {
  if (span.length !== written.length || index >= written.length) return span;
  return {
    position: { line: span.position.line, column: span.position.column + index },
    offset: span.offset + index,
    length: span.length - index,
  };
}

/** Returns the names that any ARG of the file declares. */
export function declaredArgs({ globalArgs, stages }: Dockerfile): readonly string[] {
  return [...globalArgs, ...stages.flatMap(({ instructions }) => instructions)].flatMap(
    (instruction) =>
      instruction.keyword === 'ARG' ? instruction.args.map(({ name }) => name) : [],
  );
}

/** The values that the variables in scope of FROM depend on besides the Dockerfile. */
export interface ScopeOptions {
  readonly buildArgs: ReadonlyMap<string, string>;
  /** The platform to build for: TARGETPLATFORM and its parts. */
  readonly platform: Platform;
  /** The platform of the build machine: BUILDPLATFORM and its parts. Default: `platform`. */
  readonly buildPlatform?: Platform;
  /** Name or number of the stage to build. Default: the last. */
  readonly target?: string;
}

/**
 * Returns the variables in scope of FROM: the platform arguments and the ARGs before the first
 * FROM. A build argument overrides a default (Dockerfile reference, "Understand how ARG and FROM
 * interact").
 * @throws DOCKERFILE_INVALID if a default cannot be expanded
 */
export function globalVariables(
  dockerfile: Dockerfile,
  reader: WordReader,
  { buildArgs, platform, buildPlatform = platform, target = 'default' }: ScopeOptions,
): ReadonlyMap<string, string> {
  const variables = new Map<string, string>();
  const add = (name: string, fallback: string | undefined): void => {
    const value = buildArgs.get(name) ?? fallback;
    if (value !== undefined) variables.set(name, value);
  };
  for (const [prefix, of] of [
    ['BUILD', buildPlatform],
    ['TARGET', platform],
  ] as const) {
    add(`${prefix}PLATFORM`, formatPlatform(of));
    add(`${prefix}OS`, of.os);
    add(`${prefix}ARCH`, of.architecture);
    add(`${prefix}VARIANT`, of.variant ?? '');
  }
  add('TARGETSTAGE', target);
  for (const instruction of dockerfile.globalArgs) {
    for (const { name, value } of instruction.args)
      add(name, value && reader.word(value, variables, 'UndefinedArgInFrom'));
  }
  return variables;
}

/** Build arguments that RUN receives without an ARG (Dockerfile reference, "Predefined ARGs"). */
export const PROXY_ARGS: readonly string[] = ['HTTP', 'HTTPS', 'FTP', 'NO', 'ALL'].flatMap(
  (scheme) => [`${scheme}_PROXY`, `${scheme.toLowerCase()}_proxy`],
);
