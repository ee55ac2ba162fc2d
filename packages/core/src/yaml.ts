import { createRequire } from 'node:module';
import type * as Yaml from 'yaml';
import type { Document, LineCounter, Node, Scalar } from 'yaml';
import { LktError } from './errors.ts';
import { didYouMean } from './nearest.ts';
import { type Position, type SourceFile, sourceError } from './source.ts';

/**
 * Loaded with the first document: the parser consists of many files, and most processes of a build
 * do not need it.
 */
const require = createRequire(import.meta.url);
let loaded: typeof Yaml | undefined;
function parser(): typeof Yaml {
  loaded ??= require('yaml') as typeof Yaml;
  return loaded;
}

/** An error at a value of a YAML file. */
export class YamlError extends LktError {
  /** Path of the value in the document: `services[2].binds`. Empty at the top. */
  readonly key: string;
  /** The message without file, position and key. */
  readonly problem: string;

  constructor(at: YamlValue, problem: string, options: { fix?: string; cause?: unknown }) {
    const message = at.path === '' ? problem : `${at.path}: ${problem}`;
    const located = sourceError('CONFIG_INVALID', at.file, at.position, message, options);
    super(located.code, located.message, { ...options, detail: located.detail });
    this.key = at.path;
    this.problem = problem;
  }
}

/** Scalars whose text was replaced; their type follows from the new text. */
const replaced = new WeakSet<Scalar>();

/**
 * A YAML value with its position, read by requesting the expected type.
 *
 * Every getter throws CONFIG_INVALID at the value's line and column if the value has another type,
 * so a parser is a list of known fields.
 *
 * @example
 * ```ts
 * const { image } = parseYaml(file).fields(['image', 'org']); // rejects other keys
 * if (image !== undefined) use(image.string());
 * ```
 */
export class YamlValue {
  readonly file: SourceFile;
  /** Path in the document for errors: `services[2].binds`. Empty at the top. */
  readonly path: string;
  readonly position: Position;
  readonly #node: Node | null;
  readonly #lines: LineCounter;

  constructor(file: SourceFile, lines: LineCounter, node: Node | null, path: string, at: Position) {
    this.file = file;
    this.path = path;
    this.#node = node;
    this.#lines = lines;
    this.position = node?.range == null ? at : linePosition(lines, node.range[0]);
  }

  /** Returns an error at this value. */
  error(problem: string, options: { fix?: string; cause?: unknown } = {}): YamlError {
    return new YamlError(this, problem, options);
  }

  /** Offsets of the value in the text, end exclusive; undefined for an empty value. */
  get range(): readonly [number, number] | undefined {
    const range = this.#node?.range;
    return range == null ? undefined : [range[0], range[1]];
  }

  isNull(): boolean {
    return this.#node === null || (parser().isScalar(this.#node) && this.#node.value === null);
  }

  isMap(): boolean {
    return parser().isMap(this.#node);
  }

  isString(): boolean {
    return parser().isScalar(this.#node) && typeof valueOf(this.#node) === 'string';
  }

  /**
   * Returns a string. Rejects a plain scalar that YAML reads as a number or boolean, and suggests
   * quotes.
   */
  string(): string {
    const node = this.#scalar();
    if (typeof node.value === 'string') return node.value;
    throw this.error(`expected a string, found ${this.#kind()}`, {
      fix: 'put the value in quotes',
    });
  }

  /** Returns a string, or the written text of a number or boolean. */
  text(): string {
    const node = this.#scalar();
    if (typeof node.value === 'string') return node.value;
    if (node.value === null) throw this.error('expected a value, found nothing');
    return node.source ?? plainText(node.value);
  }

  integer(): number {
    const value = valueOf(this.#scalar());
    if (Number.isSafeInteger(value)) return Number(value);
    throw this.error(`expected a whole number, found ${this.#kind()}`);
  }

  boolean(): boolean {
    const value = valueOf(this.#scalar());
    if (typeof value === 'boolean') return value;
    throw this.error(`expected true or false, found ${this.#kind()}`);
  }

  list(): readonly YamlValue[] {
    if (!parser().isSeq(this.#node)) throw this.error(`expected a list, found ${this.#kind()}`);
    return this.#node.items.map((item, index) =>
      this.#child(item, `${this.path}[${index}]`, this.position),
    );
  }

  /** Returns the entries of a mapping in written order. Keys are unique strings. */
  entries(): ReadonlyMap<string, YamlValue> {
    if (!parser().isMap(this.#node)) throw this.error(`expected a mapping, found ${this.#kind()}`);
    const entries = new Map<string, YamlValue>();
    for (const { key, value } of this.#node.items) {
      const range = (key as Node | null)?.range;
      const at = range == null ? this.position : linePosition(this.#lines, range[0]);
      const name = keyName(key);
      if (name === undefined)
        throw sourceError('CONFIG_INVALID', this.file, at, 'expected a simple key');
      const path = this.path === '' ? name : `${this.path}.${name}`;
      entries.set(name, this.#child(value, path, at));
    }
    return entries;
  }

  /**
   * Returns the entries of a mapping with known keys only.
   * @throws CONFIG_INVALID at an unknown key, suggesting the nearest known one
   */
  fields<K extends string>(known: readonly K[]): Partial<Record<K, YamlValue>> {
    const result: Partial<Record<K, YamlValue>> = {};
    for (const [name, value] of this.entries()) {
      const key = known.find((candidate) => candidate === name);
      if (key === undefined) {
        const where = this.path === '' ? '' : ` in ${this.path}`;
        const at = keyPosition(this.#node, this.#lines, name) ?? value.position;
        throw sourceError('CONFIG_INVALID', this.file, at, `unknown key "${name}"${where}`, {
          length: name.length,
          fix: didYouMean(name, known, `use one of: ${known.join(', ')}`),
        });
      }
      result[key] = value;
    }
    return result;
  }

  /**
   * Replaces the texts at and below this value, except keys. A replaced text that reads as a number
   * or boolean is accepted as such and as text.
   */
  replaceTexts(replace: (text: string, at: YamlValue) => string): void {
    const node = this.#node;
    if (parser().isMap(node)) {
      for (const value of this.entries().values()) value.replaceTexts(replace);
    } else if (parser().isSeq(node)) {
      for (const item of this.list()) item.replaceTexts(replace);
    } else if (parser().isScalar(node) && typeof node.value === 'string') {
      const text = replace(node.value, this);
      if (text === node.value) return;
      node.value = text;
      node.source = text;
      replaced.add(node);
    }
  }

  /** Returns the value as plain data, for free-form values such as annotations. */
  plain(): unknown {
    return this.#node === null ? null : this.#node.toJS(doc(this.#node));
  }

  #child(node: unknown, path: string, at: Position): YamlValue {
    return new YamlValue(this.file, this.#lines, node as Node | null, path, at);
  }

  #scalar(): Scalar {
    if (!parser().isScalar(this.#node)) throw this.error(`expected a value, found ${this.#kind()}`);
    return this.#node;
  }

  #kind(): string {
    if (parser().isMap(this.#node)) return 'a mapping';
    if (parser().isSeq(this.#node)) return 'a list';
    if (parser().isAlias(this.#node)) return 'an alias';
    if (!parser().isScalar(this.#node) || this.#node.value === null) return 'nothing';
    return typeof this.#node.value === 'string'
      ? 'a string'
      : `the ${typeof this.#node.value} ${this.#node.source ?? ''}`;
  }
}

/** Returns the document that `Node.toJS` requires; its content matters only for aliases. */
function doc(node: Node): Document {
  const holder = parser().parseDocument('');
  holder.contents = node as never;
  return holder;
}

function valueOf(node: Scalar): unknown {
  if (!replaced.has(node) || typeof node.value !== 'string') return node.value;
  if (node.value === 'true' || node.value === 'false') return node.value === 'true';
  return /^[-+]?(?:0|[1-9]\d*)$/.test(node.value) ? Number(node.value) : node.value;
}

/** Returns the text of a number, boolean or null without a source text. */
function plainText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function linePosition(lines: LineCounter, offset: number): Position {
  const { line, col } = lines.linePos(offset);
  return { line, column: col };
}

function keyPosition(node: Node | null, lines: LineCounter, name: string): Position | undefined {
  if (!parser().isMap(node)) return undefined;
  const key = node.items.map((item) => item.key).find((item) => keyName(item) === name);
  const range = (key as Node | undefined)?.range;
  return range == null ? undefined : linePosition(lines, range[0]);
}

/** Returns the text of a simple key. */
function keyName(key: unknown): string | undefined {
  if (!parser().isScalar(key) || key.value === null) return undefined;
  return key.source ?? plainText(key.value);
}

/**
 * Parses one YAML 1.2 document.
 *
 * Rejects anchors and aliases: with them, a small file can expand to a huge one, and no config
 * needs them.
 * @throws CONFIG_INVALID with line and column for invalid syntax, duplicate keys, several
 * documents, aliases
 */
export function parseYaml(file: SourceFile): YamlValue {
  const lines = new (parser().LineCounter)();
  const document = parser().parseDocument(file.text, {
    lineCounter: lines,
    keepSourceTokens: true,
    uniqueKeys: true,
  });
  const problem = document.errors[0] ?? document.warnings[0];
  if (problem !== undefined) {
    const at = linePosition(lines, problem.pos[0]);
    if (problem.code === 'DUPLICATE_KEY') throw duplicateKey(file, lines, document, problem.pos[0]);
    if (problem.code === 'RESOURCE_EXHAUSTION')
      throw sourceError('CONFIG_INVALID', file, at, 'it has too many levels');
    const message =
      problem.message.split('\n')[0]?.replace(/ at line \d+, column \d+:?$/, '') ?? 'invalid YAML';
    const fix = problem.code === 'TAB_AS_INDENT' ? 'indent with blanks' : undefined;
    throw sourceError('CONFIG_INVALID', file, at, message, { fix });
  }
  if (file.text.includes('*')) rejectAliases(file, lines, document);
  return new YamlValue(file, lines, document.contents, '', { line: 1, column: 1 });
}

/** Returns an error that names both places of a key. */
function duplicateKey(
  file: SourceFile,
  lines: LineCounter,
  document: Document,
  offset: number,
): LktError {
  let message = 'the key is there twice';
  parser().visit(document, {
    Map: (_key, { items }) => {
      const keys = items.map(({ key }) => key as Node | null);
      const second = keys.find((key) => key?.range?.[0] === offset);
      const name = keyName(second);
      if (second === undefined || name === undefined) return undefined;
      const first = keys.find((key) => keyName(key) === name);
      const { line } = linePosition(lines, first?.range?.[0] ?? offset);
      message = `"${name}" is already on line ${line}`;
      return parser().visit.BREAK;
    },
  });
  return sourceError('CONFIG_INVALID', file, linePosition(lines, offset), message, {
    fix: 'keep one of them',
  });
}

function rejectAliases(file: SourceFile, lines: LineCounter, document: Document): void {
  parser().visit(document, {
    Alias: (_key, { range }) => {
      const at = linePosition(lines, range?.[0] ?? 0);
      throw sourceError('CONFIG_INVALID', file, at, 'aliases are not allowed', {
        fix: 'write the value out',
      });
    },
  });
}

/** Returns data as YAML in the layout of Go's encoder: lists not indented, lines not wrapped. */
export function formatYaml(data: unknown): string {
  return parser().stringify(data, { indentSeq: false, lineWidth: 0, aliasDuplicateObjects: false });
}
