import {
  choice,
  integer,
  list,
  withDefault,
  record,
  required,
  text,
  omitEmpty,
  type YamlType,
} from '@lkt/core';

/**
 * A device node in the container. The path `all` allows every device of the type and makes no node.
 */
export interface Device {
  readonly path: string;
  readonly type: string;
  readonly major: number;
  readonly minor: number;
  readonly mode: number;
}

/** Parses a file mode: an octal number in quotes. */
export const FILE_MODE: YamlType<number> = text({
  matches: /^0?[0-7]{1,4}$/,
  problem: (mode) => `"${mode}" is not a file mode`,
  fix: 'write it in octal, such as "0644"',
}).transform((mode) => Number.parseInt(mode, 8));

const NUMBER = integer(0, 2 ** 32 - 1);

export const DEVICES: YamlType<readonly Device[]> = list(
  record({
    path: required(text(), 'path in the container; "all" allows every device of the type'),
    type: required(
      choice('a', 'b', 'c', 'u', 'p'),
      'b: block device, c or u: character device, p: FIFO',
    ),
    major: withDefault(NUMBER, 0, 'major number'),
    minor: withDefault(NUMBER, 0, 'minor number'),
    mode: omitEmpty(FILE_MODE, 'file mode in octal, in quotes'),
  }).transform(({ mode, ...device }, value) => {
    if (device.path === 'all') return { ...device, mode: 0 };
    if (mode === undefined && value.entries().get('mode')?.isNull() !== false)
      throw value.error('"mode" is missing');
    return { ...device, mode: mode ?? 0 };
  }),
);
