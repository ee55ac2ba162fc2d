import type { LktError } from './errors.ts';
import type { JsonSchema, SchemaWriter } from './yaml-schema.ts';
import type { YamlValue } from './yaml.ts';

/** How to read values. `isLenient` accepts numbers and booleans as text, as Go's YAML does. */
export interface ReadMode {
  readonly isLenient: boolean;
}

const STRICT: ReadMode = { isLenient: false };

/** The parts of a {@link YamlType}. */
interface Definition<T> {
  readonly read: (value: YamlValue, mode: ReadMode) => T;
  /** Returns a value accepted by `read` as plain data in the key order of Go's encoder. */
  readonly plain: (value: YamlValue) => unknown;
  readonly schema: (writer: SchemaWriter) => JsonSchema;
}

/**
 * A type of values in a YAML file: its parser and its JSON schema in one definition, so that
 * editors and lkt agree. The schema accepts everything that `read` accepts. Rules a schema cannot
 * express, such as unique names, are checked only by `read`.
 * @example
 * ```ts
 * const config = record({
 *   image: required(text(), 'name of the image'),
 *   network: withDefault(boolean, false, 'network access during the build'),
 * });
 * const { image, network } = config.read(parseYaml(file));
 * ```
 */
export class YamlType<T> {
  readonly #definition: Definition<T>;

  constructor(definition: Definition<T>) {
    this.#definition = definition;
  }

  /**
   * Reads a value.
   * @throws CONFIG_INVALID at the position of the first error
   */
  read(value: YamlValue, mode: ReadMode = STRICT): T {
    return this.#definition.read(value, mode);
  }

  /** @see Definition.plain */
  plain(value: YamlValue): unknown {
    return this.#definition.plain(value);
  }

  /** Returns the JSON schema of the type. */
  schema(writer: SchemaWriter): JsonSchema {
    return this.#definition.schema(writer);
  }

  /**
   * Returns a type that converts values of this one. `check` rejects a value by throwing
   * `value.error(…)`.
   */
  transform<U>(check: (read: T, value: YamlValue) => U): YamlType<U> {
    return new YamlType({
      ...this.#definition,
      read: (value, mode) => check(this.read(value, mode), value),
    });
  }

  /** Returns this type as a named definition of the schema. */
  named(name: string): YamlType<T> {
    return new YamlType({
      ...this.#definition,
      schema: (writer) => writer.definition(name, () => this.schema(writer)),
    });
  }
}

interface TextRule {
  readonly matches: RegExp;
  /** Returns the message about a text that does not match. */
  readonly problem: (text: string) => string;
  readonly fix?: string;
}

/** Returns the type of texts, which must match `rule` if given. */
export function text(rule?: TextRule): YamlType<string> {
  return new YamlType({
    read: (value, { isLenient }) => {
      // Quotes would not make a text of a number that breaks the rule.
      const isWrong = rule !== undefined && !rule.matches.test(value.text());
      const given = isLenient || isWrong ? value.text() : value.string();
      if (rule === undefined || rule.matches.test(given)) return given;
      throw value.error(rule.problem(given), rule.fix === undefined ? {} : { fix: rule.fix });
    },
    plain: (value) => value.text(),
    schema: (writer) => writer.text(rule?.matches),
  });
}

/** The type of texts, numbers and booleans, read as the written text. */
export const scalar: YamlType<string> = new YamlType({
  read: (value) => value.text(),
  plain: (value) => value.text(),
  schema: () => ({ type: ['string', 'number', 'boolean'] }),
});

/** Returns the type of these words. */
export function choice<K extends string>(...choices: readonly K[]): YamlType<K> {
  return oneOf(choices, (given) => ({
    problem: `"${given}" is not one of: ${choices.join(', ')}`,
  }));
}

/** As {@link choice}, with a custom error message. */
export function oneOf<K extends string>(
  choices: readonly K[],
  describeProblem: (given: string) => { readonly problem: string; readonly fix?: string },
): YamlType<K> {
  return new YamlType({
    read: (value) => {
      const given = value.string();
      const found = choices.find((candidate) => candidate === given);
      if (found !== undefined) return found;
      const { problem, ...options } = describeProblem(given);
      throw value.error(problem, options);
    },
    plain: (value) => value.string(),
    schema: (writer) => writer.value({ enum: choices }),
  });
}

/** The type of `true` and `false`. */
export const boolean: YamlType<boolean> = new YamlType({
  read: (value) => value.boolean(),
  plain: (value) => value.boolean(),
  schema: (writer) => writer.value({ type: 'boolean' }),
});

/**
 * Returns the type of whole numbers in a range. Rejects `010`, which is eight in YAML 1.1 and ten
 * in YAML 1.2, and `1.0`, which LinuxKit does not accept as an integer.
 */
export function integer(
  min: number = Number.MIN_SAFE_INTEGER,
  max: number = Number.MAX_SAFE_INTEGER,
  problem: (number: number) => string = (number) => `${number} is not between ${min} and ${max}`,
): YamlType<number> {
  return new YamlType({
    read: (value) => {
      const number = wholeNumber(value);
      if (number >= min && number <= max) return number;
      throw value.error(problem(number), { fix: `write a number from ${min} to ${max}` });
    },
    plain: (value) => value.integer(),
    schema: (writer) =>
      writer.value({
        type: 'integer',
        minimum: min === Number.MIN_SAFE_INTEGER ? undefined : min,
        maximum: max === Number.MAX_SAFE_INTEGER ? undefined : max,
      }),
  });
}

function wholeNumber(value: YamlValue): number {
  const number = value.integer();
  const written = value.text();
  if (/^[-+]?0\d/.test(written)) {
    throw value.error(
      `${written} starts with a zero, which is octal in YAML 1.1 and decimal in 1.2`,
      { fix: `write 0o${written.replace(/^[-+]?0+/, '')} or remove the zero` },
    );
  }
  if (!/^[-+]?(?:\d+|0x[\da-f]+|0o[0-7]+)$/i.test(written)) {
    throw value.error(`expected a whole number, found ${written}`);
  }
  return number;
}

/** Returns the type of lists; `isFilled` rejects empty ones. */
export function list<T>(
  item: YamlType<T>,
  { isFilled = false }: { readonly isFilled?: boolean } = {},
): YamlType<readonly T[]> {
  return new YamlType({
    read: (value, mode) => {
      const items = value.list();
      if (isFilled && items.length === 0)
        throw value.error('the list is empty', { fix: 'write an item, or remove the key' });
      return items.map((entry) => item.read(entry, mode));
    },
    plain: (value) => value.list().map((entry) => item.plain(entry)),
    schema: (writer) => ({
      type: 'array',
      items: item.schema(writer),
      minItems: isFilled ? 1 : undefined,
    }),
  });
}

/** Returns the type of mappings with arbitrary keys, in written order. */
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

/**
 * Returns the union of two types: `first` reads the values that `when` accepts, `second` the
 * others.
 */
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

/** Returns a type that accepts any value and leaves parsing to the caller; editors use `schema`. */
export function anything(schema: JsonSchema): YamlType<YamlValue> {
  return new YamlType({
    read: (value) => value,
    plain: (value) => value.plain(),
    schema: () => schema,
  });
}

/** A key of a {@link record}. `T` includes undefined if the value may be missing. */
export interface Field<T> {
  readonly type: YamlType<unknown>;
  readonly about: string;
  /**
   * `omitEmpty`: an empty value counts as missing, like Go's `omitempty`. `default`: a missing
   * value is read and written as `default`.
   */
  readonly presence: 'required' | 'optional' | 'omitEmpty' | 'default';
  readonly default?: T;
  readonly fix?: string;
  /** Whether YAML null counts as a missing value instead of an error; default true. */
  readonly isNullable?: boolean;
}

/** The keys of a {@link record}. */
export type Fields = Readonly<Record<string, Field<unknown>>>;

/** Returns a key that must be present. `about` is its description in editors and docs. */
export function required<T>(type: YamlType<T>, about: string, fix?: string): Field<T> {
  return { type, about, presence: 'required', fix };
}

/** Returns a key that may be missing. */
export function optional<T>(
  type: YamlType<T>,
  about: string,
  options: Pick<Field<T>, 'isNullable'> = {},
): Field<T | undefined> {
  return { type, about, presence: 'optional', ...options };
}

/** Returns an optional key whose empty value counts as missing. */
export function omitEmpty<T>(type: YamlType<T>, about: string): Field<T | undefined> {
  return { type, about, presence: 'omitEmpty' };
}

/** Returns an optional key with a default value. */
export function withDefault<T>(
  type: YamlType<T>,
  defaultValue: NoInfer<T>,
  about: string,
): Field<T> {
  return { type, about, presence: 'default', default: defaultValue };
}

/** The result of reading a {@link record} of these fields. */
export type Values<F extends Fields> = {
  readonly [
    K in keyof F as F[K] extends Field<infer T> ? (undefined extends T ? never : K) : never
  ]: F[K] extends Field<infer T> ? T : never;
} & {
  readonly [
    K in keyof F as F[K] extends Field<infer T> ? (undefined extends T ? K : never) : never
  ]?: F[K] extends Field<infer T> ? Exclude<T, undefined> : never;
};

/**
 * Returns the type of mappings with exactly these keys. An empty value (YAML null) counts as
 * missing, unless the key is not nullable.
 */
export function record<F extends Fields>(fields: F): YamlType<Values<F>> {
  const keys = Object.keys(fields);
  const entries = Object.entries(fields);
  const convert = (
    value: YamlValue,
    convertItem: (type: YamlType<unknown>, item: YamlValue) => unknown,
  ): Record<string, unknown> => {
    const given = value.fields(keys);
    const result: Record<string, unknown> = {};
    for (const [key, field] of entries) {
      const item = given[key];
      if (field.isNullable === false && item?.isNull() === true)
        throw item.error('expected a value, found nothing', { fix: 'remove the key' });
      const converted = isPresent(item) ? convertItem(field.type, item) : undefined;
      if (converted === undefined && field.presence === 'required')
        throw missing(value, key, field.fix);
      if (converted === undefined && field.presence === 'default') result[key] = field.default;
      if (converted === undefined || (field.presence === 'omitEmpty' && isEmpty(converted)))
        continue;
      result[key] = converted;
    }
    return result;
  };
  return new YamlType({
    read: (value, mode) => convert(value, (type, item) => type.read(item, mode)) as never,
    plain: (value) => convert(value, (type, item) => type.plain(item)),
    schema: (writer) => writer.object(entries),
  });
}

function isPresent(value: YamlValue | undefined): value is YamlValue {
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
