import { nearest } from '@lkt/core';
import type { Flag, Word } from './ast.ts';
import type { SourceText } from './source-text.ts';
import type { SyntaxNode } from './syntax.ts';

/**
 * Reads the flags of one instruction by asking for those it knows; `end` refuses the rest.
 *
 * Every getter throws LktError DOCKERFILE_INVALID at the flag that is wrong.
 */
export class FlagReader {
  readonly #node: SyntaxNode;
  readonly #source: SourceText;
  readonly #asked: string[] = [];

  constructor(node: SyntaxNode, source: SourceText) {
    this.#node = node;
    this.#source = source;
  }

  /** A flag that may be repeated. Each has a value. */
  all(name: string): readonly Flag[] {
    this.#asked.push(name);
    const flags = this.#node.flags.filter((flag) => flag.name === name);
    const bare = flags.find((flag) => flag.value === undefined || flag.value === '');
    if (bare !== undefined) {
      throw this.#source.error(bare, `the flag --${name} has no value`, `write --${name}=VALUE`);
    }
    return flags;
  }

  text(name: string): string | undefined {
    return this.#single(name)?.value;
  }

  /** The value as a word; its place is that of the value where that can be told, else that of the flag. */
  word(name: string): Word | undefined {
    const flag = this.#single(name);
    if (flag?.value === undefined) return undefined;
    const written = this.#source.file.text.slice(flag.offset, flag.offset + flag.length);
    const start = written.endsWith(flag.value) ? flag.offset + flag.length - flag.value.length : -1;
    const span = start === -1 ? flag : this.#source.span(start, flag.offset + flag.length);
    return {
      position: span.position,
      offset: span.offset,
      length: span.length,
      text: flag.value,
    };
  }

  boolean(name: string): boolean | undefined {
    this.#asked.push(name);
    const flag = this.#unique(name);
    if (flag === undefined) return undefined;
    const value = flag.value?.toLowerCase();
    if (value === undefined || value === 'true') return true;
    if (value === 'false') return false;
    throw this.#source.error(
      flag,
      `"${flag.value ?? ''}" is no value for --${name}`,
      `write --${name} or --${name}=false`,
    );
  }

  oneOf<T extends string>(name: string, values: readonly T[]): T | undefined {
    return this.parsed(name, (text) => {
      const value = values.find((candidate) => candidate === text);
      return value === undefined ? { problem: `is none of ${values.join(', ')}` } : { value };
    });
  }

  parsed<T>(
    name: string,
    parse: (
      value: string,
    ) => { readonly value: T } | { readonly problem: string; readonly fix?: string },
  ): T | undefined {
    const flag = this.#single(name);
    if (flag === undefined) return undefined;
    const result = parse(flag.value ?? '');
    if ('value' in result) return result.value;
    const { problem, fix } = result;
    throw this.#source.error(flag, `"${flag.value ?? ''}" in --${name} ${problem}`, fix);
  }

  /** To be called when all known flags have been asked for. */
  end(): void {
    const unknown = this.#node.flags.find((flag) => !this.#asked.includes(flag.name));
    if (unknown === undefined) return;
    const near = nearest(unknown.name, this.#asked);
    const known = this.#asked.map((name) => `--${name}`).join(', ');
    const fix =
      this.#asked.length === 0
        ? `${this.#node.name} takes no flags; put -- in front of an argument that starts with --`
        : `use one of: ${known}`;
    throw this.#source.error(
      unknown,
      `unknown flag --${unknown.name} of ${this.#node.name}`,
      near === undefined ? fix : `did you mean --${near}?`,
    );
  }

  #single(name: string): Flag | undefined {
    this.#asked.push(name);
    const flag = this.#unique(name);
    if (flag !== undefined && (flag.value === undefined || flag.value === '')) {
      throw this.#source.error(flag, `the flag --${name} has no value`, `write --${name}=VALUE`);
    }
    return flag;
  }

  #unique(name: string): Flag | undefined {
    const [first, second] = this.#node.flags.filter((flag) => flag.name === name);
    if (second !== undefined) {
      throw this.#source.error(second, `the flag --${name} is given twice`, 'remove one of them');
    }
    return first;
  }
}
