import { mkdirSync } from 'node:fs';
import { detach, mount } from '../system/syscalls.ts';

/** More file systems than a build of several stages has at once, and not as many as another check beside this one takes. */
const COUNT = 256 + (process.pid % 256);

/**
 * Takes the device numbers that come next, until it is disposed of: those of the layers are others then than without it,
 * in whatever order stages come.
 */
export function otherDevices(directory: string): Disposable {
  mkdirSync(directory);
  mount('tmpfs', directory, { type: 'tmpfs', data: 'size=4k' });
  // Each on the one before it, and all of them in one that they go with: to detach one may wait for all processors.
  const inside = `${directory}/inside`;
  mkdirSync(inside);
  for (let count = 1; count < COUNT; count += 1)
    mount('tmpfs', inside, { type: 'tmpfs', data: 'size=4k' });
  return { [Symbol.dispose]: () => detach(directory) };
}
