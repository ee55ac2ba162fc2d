import { createRequire } from 'node:module';
import type * as Yaml from 'yaml';
import type { Document, LineCounter, Node, Scalar } from 'yaml';
import type { LktError } from './errors.ts';
import { nearest } from './nearest.ts';
import { type Position, type SourceFile, sourceError } from './source.ts';

/** A parser of many files, which most processes of a build never need: the first document loads it. */
const load = createRequire(import.meta.url);
let loaded: typeof Yaml | undefined;
function parser(): typeof Yaml {
  loaded ??= load('yaml') as typeof Yaml;
  return loaded;
}

/** Scalars whose text another one was put in for: what they are is told by the text they have now. */
const replaced = new WeakSet<Scalar>();

/**
 * A YAML value that knows where it stands, read by asking for the type that is wanted.
 *
 * Every getter throws LktError CONFIG_INVALID at the value's own line and column when the value is something else, so
 * a parser is a list of the fields it knows.
 */
export class YamlValue {
  readonly file: SourceFile;
  /** Where in the document, for messages: `services[2].binds`. Empty at the top. */
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

  /** An error at this value. */
  error(message: string, options: { fix?: string; cause?: unknown } = {}): LktError {
    const what = this.path === '' ? message : `${this.path}: ${message}`;
    return sourceError('CONFIG_INVALID', this.file, this.position, what, options);
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

  isList(): boolean {
    return parser().isSeq(this.#node);
  }

  isString(): boolean {
    return parser().isScalar(this.#node) && typeof valueOf(this.#node) === 'string';
  }

  isInteger(): boolean {
    return parser().isScalar(this.#node) && Number.isSafeInteger(valueOf(this.#node));
  }

  /** A string. A plain scalar that YAML reads as a number or boolean is refused: quoting it is the fix. */
  string(): string {
    const node = this.#scalar();
    if (typeof node.value === 'string') return node.value;
    throw this.error(`expected a string, found ${this.#kind()}`, {
      fix: 'put the value in quotes',
    });
  }

  /** A string, or the text of a number or boolean as it is written. */
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
    return this.#node.items.map(
      (item, index) =>
        new YamlValue(
          this.file,
          this.#lines,
          item as Node | null,
          `${this.path}[${index}]`,
          this.position,
        ),
    );
  }

  /** The entries of a mapping in written order. Keys are strings and appear once. */
  entries(): ReadonlyMap<string, YamlValue> {
    if (!parser().isMap(this.#node)) throw this.error(`expected a mapping, found ${this.#kind()}`);
    const entries = new Map<string, YamlValue>();
    for (const { key, value } of this.#node.items) {
      const at =
        (key as Node | null)?.range == null
          ? this.position
          : linePosition(this.#lines, (key as Node).range?.[0] ?? 0);
      if (!parser().isScalar(key) || key.value === null)
        throw sourceError('CONFIG_INVALID', this.file, at, 'expected a simple key');
      const name = key.source ?? plainText(key.value);
      const path = this.path === '' ? name : `${this.path}.${name}`;
      entries.set(name, new YamlValue(this.file, this.#lines, value as Node | null, path, at));
    }
    return entries;
  }

  /**
   * The entries of a mapping that may only have these keys.
   * @throws LktError CONFIG_INVALID at an unknown key, naming the nearest known one.
   */
  fields<K extends string>(known: readonly K[]): Partial<Record<K, YamlValue>> {
    const result: Partial<Record<K, YamlValue>> = {};
    for (const [name, value] of this.entries()) {
      const key = known.find((candidate) => candidate === name);
      if (key === undefined) {
        const near = nearest(name, known);
        const where = this.path === '' ? '' : ` in ${this.path}`;
        throw sourceError(
          'CONFIG_INVALID',
          this.file,
          keyPosition(this.#node, this.#lines, name) ?? value.position,
          `unknown key "${name}"${where}`,
          {
            length: name.length,
            fix: near === undefined ? `use one of: ${known.join(', ')}` : `did you mean "${near}"?`,
          },
        );
      }
      result[key] = value;
    }
    return result;
  }

  /**
   * Puts other texts in the place of those below this value, keys apart. A value that becomes the text of a number or
   * boolean is one where that is wanted, and a text where a text is.
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

  /** The plain JavaScript value: for free-form data such as annotations. */
  plain(): unknown {
    return this.#node === null ? null : this.#node.toJS(doc(this.#node));
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
      ? 'text'
      : `the ${typeof this.#node.value} ${this.#node.source ?? ''}`;
  }
}

/** `Node.toJS` wants a document; a node without aliases needs nothing from it. */
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

/** A scalar that YAML made a number, boolean or nothing of, without its text. */
function plainText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function linePosition(lines: LineCounter, offset: number): Position {
  const { line, col } = lines.linePos(offset);
  return { line, column: col };
}

function keyPosition(node: Node | null, lines: LineCounter, name: string): Position | undefined {
  if (!parser().isMap(node)) return undefined;
  for (const { key } of node.items) {
    if (
      parser().isScalar(key) &&
      (key.source ?? plainText(key.value)) === name &&
      key.range != null
    )
      return linePosition(lines, key.range[0]);
  }
  return undefined;
}

/**
 * Parses one YAML 1.2 document.
 *
 * Anchors and aliases are refused: no user of these files has needed them, and they let a small file become a large
 * one.
 * @throws LktError CONFIG_INVALID with line and column, for bad syntax, duplicate keys, several documents, aliases.
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
    const message =
      problem.message.split('\n')[0]?.replace(/ at line \d+, column \d+:?$/, '') ?? 'bad YAML';
    throw sourceError('CONFIG_INVALID', file, at, message);
  }
  refuseAliases(file, lines, document.contents);
  return new YamlValue(file, lines, document.contents, '', { line: 1, column: 1 });
}

function refuseAliases(file: SourceFile, lines: LineCounter, node: unknown): void {
  if (parser().isAlias(node)) {
    throw sourceError(
      'CONFIG_INVALID',
      file,
      linePosition(lines, node.range?.[0] ?? 0),
      'aliases are not allowed',
      {
        fix: 'write the value out',
      },
    );
  }
  if (parser().isMap(node)) {
    for (const { key, value } of node.items) {
      refuseAliases(file, lines, key);
      refuseAliases(file, lines, value);
    }
  } else if (parser().isSeq(node)) {
    for (const item of node.items) refuseAliases(file, lines, item);
  }
}

/** Plain data as YAML, in the layout of Go's encoder: lists are not indented, lines not broken. */
export function formatYaml(data: unknown): string {
  return parser().stringify(data, { indentSeq: false, lineWidth: 0, aliasDuplicateObjects: false });
}
