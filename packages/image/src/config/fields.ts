import { type LktErrorCode, sourceError, type LktError, type YamlValue } from '@lkt/core';

/** An error with a code of its own at a value. */
export function errorAt(
  code: LktErrorCode,
  value: YamlValue,
  message: string,
  options: { fix?: string; cause?: unknown } = {},
): LktError {
  const range = value.range;
  const length = range === undefined ? 1 : range[1] - range[0];
  const what = value.path === '' ? message : `${value.path}: ${message}`;
  return sourceError(code, value.file, value.position, what, { ...options, length });
}

/** `value` read by `read`, or undefined where there is none or an empty one, which YAML calls null. */
export function optional<T>(
  value: YamlValue | undefined,
  read: (value: YamlValue) => T,
): T | undefined {
  return value === undefined || value.isNull() ? undefined : read(value);
}

/** Without the keys that have no value. */
export function present<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

export function string(value: YamlValue): string {
  return value.string();
}

export function strings(value: YamlValue): readonly string[] {
  return value.list().map(string);
}

export function boolean(value: YamlValue): boolean {
  return value.boolean();
}

/**
 * A whole number. `010` is refused: YAML 1.1 reads it as eight and YAML 1.2 as ten; and so is `1.0`, which LinuxKit
 * takes for no integer.
 */
export function integer(value: YamlValue): number {
  const number = value.integer();
  const text = value.text();
  if (/^[-+]?0\d/.test(text)) {
    throw value.error(`${text} starts with a zero, which is octal in YAML 1.1 and decimal in 1.2`, {
      fix: `write 0o${text.replace(/^[-+]?0+/, '')} or leave the zero out`,
    });
  }
  if (!/^[-+]?(?:\d+|0x[\da-f]+|0o[0-7]+)$/i.test(text)) {
    throw value.error(`expected a whole number, found ${text}`);
  }
  return number;
}

export function integerIn(least: number, most: number): (value: YamlValue) => number {
  return (value) => {
    const number = integer(value);
    if (number < least || number > most) {
      throw value.error(`${number} is not between ${least} and ${most}`);
    }
    return number;
  };
}

/** A mapping of strings to strings. */
export function stringMap(value: YamlValue): Readonly<Record<string, string>> {
  return Object.fromEntries([...value.entries()].map(([key, item]) => [key, item.string()]));
}

export function oneOf<K extends string>(...choices: readonly K[]): (value: YamlValue) => K {
  return (value) => {
    const text = value.string();
    const choice = choices.find((candidate) => candidate === text);
    if (choice !== undefined) return choice;
    throw value.error(`"${text}" is not one of: ${choices.join(', ')}`);
  };
}

/** The value at a key that must be there. */
export function required(parent: YamlValue, value: YamlValue | undefined, key: string): YamlValue {
  if (value === undefined || value.isNull()) throw parent.error(`"${key}" is missing`);
  return value;
}
