import { mkdirSync } from 'node:fs';
import { detach, mount } from '../system/syscalls.ts';

/**
 * More file systems than a build of several stages mounts at once, and another number in each
 * check.
 */
const COUNT = 256 + (process.pid % 256);

/**
 * Occupies the next device numbers until it is disposed, so that layers get other numbers in any
 * order of stages.
 */
export function otherDevices(directory: string): Disposable {
  mkdirSync(directory);
  mount('tmpfs', directory, { type: 'tmpfs', data: 'size=4k' });
  // All in one mount, stacked: one detach removes them, as each may wait for all processors.
  const inside = `${directory}/inside`;
  mkdirSync(inside);
  for (let count = 1; count < COUNT; count += 1)
    mount('tmpfs', inside, { type: 'tmpfs', data: 'size=4k' });
  return { [Symbol.dispose]: () => detach(directory) };
}
