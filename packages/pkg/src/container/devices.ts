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
import { distinct } from './distinct.ts';

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

// Bits of dev_t (linux/kdev_t.h). mknod(2) drops the others.
const MAJOR = integer(0, 2 ** 12 - 1);
const MINOR = integer(0, 2 ** 20 - 1);

const PATH = text({
  matches: /^(?:all|\/(?!(?:.*\/)?\.\.(?:\/|$))[^\0]+)$/,
  problem: (path) => `${JSON.stringify(path)} is not an absolute path`,
  fix: 'start it with /, and write no ".."',
});

export const DEVICES: YamlType<readonly Device[]> = distinct(
  list(
    record({
      path: required(PATH, 'path in the container; "all" allows every device of the type'),
      type: required(
        choice('a', 'b', 'c', 'u', 'p'),
        'b: block device, c or u: character device, p: FIFO',
      ),
      major: withDefault(MAJOR, 0, 'major number'),
      minor: withDefault(MINOR, 0, 'minor number'),
      mode: omitEmpty(FILE_MODE, 'file mode in octal, in quotes'),
    }).transform(({ mode, ...device }, value) => {
      if (device.path === 'all') {
        if (device.type === 'u' || device.type === 'p')
          throw value.error('only block and character devices have rules', {
            fix: 'use the type a, b or c',
          });
        return { ...device, mode: 0 };
      }
      if (device.type === 'a')
        throw value.error('"a" is not the type of a device node', { fix: 'use b, c or p' });
      if (mode === undefined && value.entries().get('mode')?.isNull() !== false)
        throw value.error('"mode" is missing');
      return { ...device, mode: mode ?? 0 };
    }),
  ),
  ({ path }) => (path === 'all' ? undefined : path),
  (path) => `there are two devices "${path}"`,
);
