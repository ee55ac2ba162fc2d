import { mkdirSync } from 'node:fs';
import { detach, mount } from './syscalls.ts';

/** More file systems than a build of several stages has at once. */
const COUNT = 32;

/**
 * Takes the device numbers that come next, until it is disposed of: those of the layers are others then than without it,
 * in whatever order stages come.
 */
export function otherDevices(directory: string): Disposable {
  mkdirSync(directory);
  const each = Array.from({ length: COUNT });
  for (const _ of each) mount('tmpfs', directory, { type: 'tmpfs', data: 'size=4k' });
  return {
    [Symbol.dispose]: () => {
      for (const _ of each) detach(directory);
    },
  };
}
