import { type LktError, nearest } from '@lkt/core';
import type { Command, Flag, Span, Word } from './ast.ts';
import type { SourceText } from './source-text.ts';
import type { SyntaxNode } from './syntax.ts';

/**
 * Reads the arguments of one instruction, and its flags by name; `end` rejects the flags that were
 * not read.
 *
 * Every method throws DOCKERFILE_INVALID at an invalid word or flag.
 */
export class NodeReader {
  readonly node: SyntaxNode;
  readonly source: SourceText;
  readonly #asked: string[] = [];

  constructor(node: SyntaxNode, source: SourceText) {
    this.node = node;
    this.source = source;
  }

  error(message: string, fix?: string, at: Span = this.node.keyword): LktError {
    return this.source.error(at, message, fix);
  }

  atLeastOne(): readonly Word[] {
    const { args, name } = this.node;
    if (args.length === 0) throw this.error(`${name} requires at least one argument`);
    return args;
  }

  /** Returns the only argument; the syntax of the instruction allows no second. */
  exactlyOne(): Word {
    const [first] = this.node.args;
    if (first === undefined) throw this.error(`${this.node.name} requires exactly one argument`);
    return first;
  }

  command(args: readonly Word[] = this.node.args): Command {
    const words = args.map(({ text }) => text);
    return this.node.json
      ? { form: 'exec', argv: words }
      : { form: 'shell', script: words.join(' ') };
  }

  /** Returns all flags of a name. Each must have a value. */
  all(name: string): readonly Flag[] {
    this.#asked.push(name);
    const flags = this.node.flags.filter((flag) => flag.name === name);
    const bare = flags.find((flag) => flag.value === undefined || flag.value === '');
    if (bare !== undefined)
      throw this.source.error(bare, `the flag --${name} has no value`, `write --${name}=VALUE`);
    return flags;
  }

  /** Returns the value of a flag; undefined if it is absent. */
  text(name: string): string | undefined {
    return this.#single(name)?.value;
  }

  /**
   * Returns the value as a word. Its span is that of the value if the value stands literally in the
   * file, else that of the flag.
   */
  word(name: string): Word | undefined {
    const flag = this.#single(name);
    if (flag?.value === undefined) return undefined;
    const { position, offset, length, value: text } = flag;
    const end = offset + length;
    const isLiteral = this.source.file.text.slice(offset, end).endsWith(text);
    const span = isLiteral
      ? this.source.span(end - text.length, end)
      : { position, offset, length };
    return { ...span, text };
  }

  /** Returns the value of a switch; `--name` alone is true, undefined if it is absent. */
  boolean(name: string): boolean | undefined {
    this.#asked.push(name);
    const flag = this.#unique(name);
    if (flag === undefined) return undefined;
    const value = flag.value?.toLowerCase();
    if (value === undefined || value === 'true') return true;
    if (value === 'false') return false;
    throw this.source.error(
      flag,
      `"${flag.value ?? ''}" is not a valid value for --${name}`,
      `write --${name} or --${name}=false`,
    );
  }

  /** Returns a value that must be one of `values`. */
  oneOf<T extends string>(name: string, values: readonly T[]): T | undefined {
    return this.parsed(name, (text) => {
      const value = values.find((candidate) => candidate === text);
      return value === undefined ? { problem: `is not one of ${values.join(', ')}` } : { value };
    });
  }

  /** Returns the value as parsed by `parse`, whose `problem` becomes the error message. */
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
    throw this.source.error(flag, `"${flag.value ?? ''}" in --${name} ${problem}`, fix);
  }

  /** Rejects unknown flags. Call it after reading all known flags. */
  end(): void {
    const unknown = this.node.flags.find((flag) => !this.#asked.includes(flag.name));
    if (unknown === undefined) return;
    const near = nearest(unknown.name, this.#asked);
    const known = this.#asked.map((name) => `--${name}`).join(', ');
    const fix =
      this.#asked.length === 0
        ? `${this.node.name} has no flags; put -- before an argument that starts with --`
        : `use one of: ${known}`;
    throw this.source.error(
      unknown,
      `unknown flag --${unknown.name} of ${this.node.name}`,
      near === undefined ? fix : `did you mean --${near}?`,
    );
  }

  #single(name: string): Flag | undefined {
    this.#asked.push(name);
    const flag = this.#unique(name);
    if (flag !== undefined && (flag.value === undefined || flag.value === ''))
      throw this.source.error(flag, `the flag --${name} has no value`, `write --${name}=VALUE`);
    return flag;
  }

  #unique(name: string): Flag | undefined {
    const [first, second] = this.node.flags.filter((flag) => flag.name === name);
    if (second !== undefined)
      throw this.source.error(second, `the flag --${name} is given twice`, 'remove one of them');
    return first;
  }
}
