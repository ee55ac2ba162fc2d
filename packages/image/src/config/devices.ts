import type { YamlValue } from '@lkt/core';
import { integerIn, oneOf, optional, required, string } from './fields.ts';

/** A device node in the container; the path `all` stands for leave to use every device of the type, without a node. */
export interface Device {
  readonly path: string;
  readonly type: string;
  readonly major: number;
  readonly minor: number;
  readonly mode: number;
}

export function parseDevices(value: YamlValue): readonly Device[] {
  return value.list().map((item) => {
    const fields = item.fields(['path', 'type', 'major', 'minor', 'mode']);
    const path = required(item, fields.path, 'path').string();
    const number = integerIn(0, 2 ** 32 - 1);
    return {
      path,
      type: oneOf('a', 'b', 'c', 'u', 'p')(required(item, fields.type, 'type')),
      major: optional(fields.major, number) ?? 0,
      minor: optional(fields.minor, number) ?? 0,
      mode: path === 'all' ? 0 : parseMode(required(item, fields.mode, 'mode')),
    };
  });
}

/** A file mode: an octal number in quotes. */
export function parseMode(value: YamlValue): number {
  const text = string(value);
  if (/^0?[0-7]{1,4}$/.test(text)) return Number.parseInt(text, 8);
  throw value.error(`"${text}" is not a file mode`, { fix: 'write it in octal, such as "0644"' });
}
