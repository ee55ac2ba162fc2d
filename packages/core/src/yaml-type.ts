import type { LktError } from './errors.ts';
import type { JsonSchema, SchemaWriter } from './yaml-schema.ts';
import type { YamlValue } from './yaml.ts';

/** How values are taken: `isLenient` takes a number or boolean where a text is wanted, as Go's YAML does. */
export interface ReadMode {
  readonly isLenient: boolean;
}

const STRICT: ReadMode = { isLenient: false };

/** What a {@link YamlType} is made of. */
interface Definition<T> {
  readonly read: (value: YamlValue, mode: ReadMode) => T;
  /** The value as plain data, in the order in which Go writes it; only of what `read` takes. */
  readonly plain: (value: YamlValue) => unknown;
  readonly schema: (writer: SchemaWriter) => JsonSchema;
}

/**
 * A kind of value in a YAML file: how it is read, and the JSON schema of what is taken. Both come from one definition,
 * so that an editor knows what the parser knows. The schema takes all that is read; what only a program can check, such
 * as names that must be unique, is refused by `read` alone.
 */
export class YamlType<T> {
  readonly #definition: Definition<T>;

  constructor(definition: Definition<T>) {
    this.#definition = definition;
  }

  /** @throws LktError CONFIG_INVALID at the place of the first thing that does not fit */
  read(value: YamlValue, mode: ReadMode = STRICT): T {
    return this.#definition.read(value, mode);
  }

  /** @see Definition.plain */
  plain(value: YamlValue): unknown {
    return this.#definition.plain(value);
  }

  schema(writer: SchemaWriter): JsonSchema {
    return this.#definition.schema(writer);
  }

  /** What becomes of the value. `check` may refuse it with an error at the place of `value`. */
  into<U>(check: (read: T, value: YamlValue) => U): YamlType<U> {
    return new YamlType({
      ...this.#definition,
      read: (value, mode) => check(this.read(value, mode), value),
    });
  }

  /** Under a name, by which the schema refers to it wherever it is used. */
  named(name: string): YamlType<T> {
    return new YamlType({
      ...this.#definition,
      schema: (writer) => writer.definition(name, () => this.schema(writer)),
    });
  }
}

interface TextRule {
  readonly matches: RegExp;
  /** What is wrong with a text that does not match. */
  readonly problem: (text: string) => string;
  readonly fix?: string;
}

/** A text. With `rule`, one that matches. */
export function text(rule?: TextRule): YamlType<string> {
  return new YamlType({
    read: (value, { isLenient }) => {
      const given = isLenient ? value.text() : value.string();
      if (rule === undefined || rule.matches.test(given)) return given;
      throw value.error(rule.problem(given), rule.fix === undefined ? {} : { fix: rule.fix });
    },
    plain: (value) => value.text(),
    schema: (writer) => writer.text(rule?.matches),
  });
}

/** A text, or the text of a number or boolean as it is written. */
export const scalar: YamlType<string> = new YamlType({
  read: (value) => value.text(),
  plain: (value) => value.text(),
  schema: () => ({ type: ['string', 'number', 'boolean'] }),
});

/** One of these words. */
export function choice<K extends string>(...choices: readonly K[]): YamlType<K> {
  return oneOf(choices, (given) => ({
    problem: `"${given}" is not one of: ${choices.join(', ')}`,
  }));
}

/** As {@link choice}, with another way to say what is wrong. */
export function oneOf<K extends string>(
  choices: readonly K[],
  refuse: (given: string) => { readonly problem: string; readonly fix?: string },
): YamlType<K> {
  return new YamlType({
    read: (value) => {
      const given = value.string();
      const found = choices.find((candidate) => candidate === given);
      if (found !== undefined) return found;
      const { problem, ...options } = refuse(given);
      throw value.error(problem, options);
    },
    plain: (value) => value.string(),
    schema: (writer) => writer.value({ enum: choices }),
  });
}

export const boolean: YamlType<boolean> = new YamlType({
  read: (value) => value.boolean(),
  plain: (value) => value.boolean(),
  schema: (writer) => writer.value({ type: 'boolean' }),
});

/**
 * A whole number. `010` is refused: YAML 1.1 reads it as eight and YAML 1.2 as ten; and so is `1.0`, which LinuxKit
 * takes for no integer.
 */
export function integer(
  least: number = Number.MIN_SAFE_INTEGER,
  most: number = Number.MAX_SAFE_INTEGER,
  problem: (number: number) => string = (number) => `${number} is not between ${least} and ${most}`,
): YamlType<number> {
  return new YamlType({
    read: (value) => {
      const number = wholeNumber(value);
      if (number >= least && number <= most) return number;
      throw value.error(problem(number));
    },
    plain: (value) => value.integer(),
    schema: (writer) =>
      writer.value({
        type: 'integer',
        ...(least === Number.MIN_SAFE_INTEGER ? {} : { minimum: least }),
        ...(most === Number.MAX_SAFE_INTEGER ? {} : { maximum: most }),
      }),
  });
}

function wholeNumber(value: YamlValue): number {
  const number = value.integer();
  const written = value.text();
  if (/^[-+]?0\d/.test(written)) {
    throw value.error(
      `${written} starts with a zero, which is octal in YAML 1.1 and decimal in 1.2`,
      { fix: `write 0o${written.replace(/^[-+]?0+/, '')} or leave the zero out` },
    );
  }
  if (!/^[-+]?(?:\d+|0x[\da-f]+|0o[0-7]+)$/i.test(written)) {
    throw value.error(`expected a whole number, found ${written}`);
  }
  return number;
}

/** A list. With `isFilled`, one with something in it. */
export function list<T>(
  item: YamlType<T>,
  { isFilled = false }: { readonly isFilled?: boolean } = {},
): YamlType<readonly T[]> {
  return new YamlType({
    read: (value, mode) => {
      const items = value.list();
      if (isFilled && items.length === 0) throw value.error('the list is empty');
      return items.map((entry) => item.read(entry, mode));
    },
    plain: (value) => value.list().map((entry) => item.plain(entry)),
    schema: (writer) => ({
      type: 'array',
      items: item.schema(writer),
      ...(isFilled ? { minItems: 1 } : {}),
    }),
  });
}

/** A mapping with any keys, in written order. */
export function mapping<T>(item: YamlType<T>): YamlType<ReadonlyMap<string, T>> {
  return new YamlType({
    read: (value, mode) =>
      new Map([...value.entries()].map(([key, entry]) => [key, item.read(entry, mode)])),
    plain: (value) =>
      Object.fromEntries(
        [...value.entries()]
          .map(([key, entry]) => [key, item.plain(entry)] as const)
          .toSorted(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
      ),
    schema: (writer) => ({ type: 'object', additionalProperties: item.schema(writer) }),
  });
}

/** Reads a value by the first type whose `when` it is; the last one needs none. */
export function either<A, B>(
  first: YamlType<A>,
  when: (value: YamlValue) => boolean,
  second: YamlType<B>,
): YamlType<A | B> {
  const pick = (value: YamlValue): YamlType<A | B> => (when(value) ? first : second);
  return new YamlType({
    read: (value, mode) => pick(value).read(value, mode),
    plain: (value) => pick(value).plain(value),
    schema: (writer) => ({ anyOf: [first.schema(writer), second.schema(writer)] }),
  });
}

/** A value as it is, of which nothing is known here but its schema. */
export function anything(schema: JsonSchema): YamlType<YamlValue> {
  return new YamlType({
    read: (value) => value,
    plain: (value) => value.plain(),
    schema: () => schema,
  });
}

/** A key of a {@link record}. `T` is undefined where a value may be missing. */
export interface Field<T> {
  readonly type: YamlType<unknown>;
  readonly about: string;
  /**
   * `unlessEmpty`: an empty value is none, as Go's `omitempty` has it. `zero`: a missing one is read as `zero`, and
   * written.
   */
  readonly presence: 'required' | 'optional' | 'unlessEmpty' | 'zero';
  readonly zero?: T;
  readonly fix?: string;
}

export type Fields = Readonly<Record<string, Field<unknown>>>;

/** A key that must be there. `about` says in a few words what it means. */
export function required<T>(type: YamlType<T>, about: string, fix?: string): Field<T> {
  return { type, about, presence: 'required', ...(fix === undefined ? {} : { fix }) };
}

export function optional<T>(type: YamlType<T>, about: string): Field<T | undefined> {
  return { type, about, presence: 'optional' };
}

/** A key that is as good as missing when its value is empty. */
export function unlessEmpty<T>(type: YamlType<T>, about: string): Field<T | undefined> {
  return { type, about, presence: 'unlessEmpty' };
}

/** A key that has a value when it is not written. */
export function orElse<T>(type: YamlType<T>, zero: NoInfer<T>, about: string): Field<T> {
  return { type, about, presence: 'zero', zero };
}

/** What a {@link record} of these fields reads. */
export type Values<F extends Fields> = {
  readonly [
    K in keyof F as F[K] extends Field<infer T> ? (undefined extends T ? never : K) : never
  ]: F[K] extends Field<infer T> ? T : never;
} & {
  readonly [
    K in keyof F as F[K] extends Field<infer T> ? (undefined extends T ? K : never) : never
  ]?: F[K] extends Field<infer T> ? Exclude<T, undefined> : never;
};

/** A mapping that may only have these keys. A key with an empty value, which YAML calls null, is not there. */
export function record<F extends Fields>(fields: F): YamlType<Values<F>> {
  const keys = Object.keys(fields);
  const entries = Object.entries(fields);
  return new YamlType({
    read: (value, mode) => {
      const given = value.fields(keys);
      const result: Record<string, unknown> = {};
      for (const [key, field] of entries) {
        const item = given[key];
        const read = isThere(item) ? field.type.read(item, mode) : undefined;
        if (read === undefined && field.presence === 'required')
          throw missing(value, key, field.fix);
        if (read === undefined && field.presence === 'zero') result[key] = field.zero;
        if (read === undefined || (field.presence === 'unlessEmpty' && isEmpty(read))) continue;
        result[key] = read;
      }
      return result as never;
    },
    plain: (value) => {
      const given = value.fields(keys);
      const result: Record<string, unknown> = {};
      for (const [key, { type, presence, zero }] of entries) {
        const item = given[key];
        if (!isThere(item)) {
          if (presence === 'zero') result[key] = zero;
          continue;
        }
        const plain = type.plain(item);
        if (presence !== 'unlessEmpty' || !isEmpty(plain)) result[key] = plain;
      }
      return result;
    },
    schema: (writer) => writer.object(entries),
  });
}

function isThere(value: YamlValue | undefined): value is YamlValue {
  return value !== undefined && !value.isNull();
}

function missing(parent: YamlValue, key: string, fix: string | undefined): LktError {
  return parent.error(`"${key}" is missing`, fix === undefined ? {} : { fix });
}

function isEmpty(value: unknown): boolean {
  return (
    value === '' || value === 0 || value === false || (Array.isArray(value) && value.length === 0)
  );
}
