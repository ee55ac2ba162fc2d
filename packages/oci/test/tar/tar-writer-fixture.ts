import { type EntryWithContent, toRaw } from '../../src/index.ts';
import { directory, entry, file, hardlink, symlink } from '../support.ts';

/** A name of 60 characters: two do not fit into the name field of ustar. */
export const LONG_NAME: string = 'd'.repeat(60);

/** One entry of each kind that a layer can hold. */
export function everything(): EntryWithContent[] {
  return [
    directory('dir', { mode: 0o1777 }),
    file('dir/file', 'content\n', { mode: 0o4755, uid: 1000, gid: 100 }),
    hardlink('dir/link', 'dir/file'),
    symlink('dir/symlink', '../etc/passwd'),
    entry('dir/null', { type: 'char', mode: 0o666, devMajor: 1, devMinor: 3 }),
    entry('dir/disk', { type: 'block', mode: 0o660, devMajor: 259, devMinor: 1_048_575 }),
    entry('dir/pipe', { type: 'fifo', mode: 0o600 }),
    entry('dir/.wh.gone', { mode: 0, mtime: 0 }),
    file(toRaw('dir/ünï'), 'x'),
    file('dir/\xff\xfe', 'y'),
    file(`${LONG_NAME}/${LONG_NAME}/f`, 'split'),
    file(`${LONG_NAME}${LONG_NAME}/f`, 'not split'),
    directory(`${LONG_NAME}/${LONG_NAME}/${LONG_NAME}`),
    file(`${LONG_NAME}/${LONG_NAME}/owner`, '', { uid: 2_097_152 }),
    symlink('dir/far', `${LONG_NAME}/${LONG_NAME}`),
    entry('dir/owner', { uid: 2_097_152, gid: 4_294_967_294 }),
    entry('dir/old', { mtime: -1 }),
    entry('dir/new', { mtime: 2 ** 33 }),
    file('dir/caps', 'z', {
      xattrs: new Map([
        ['user.empty', Buffer.alloc(0)],
        ['security.capability', Buffer.from('0100000200040000000000000000000000000a3d', 'hex')],
      ]),
      pax: new Map([['LINUXKIT.source', 'docker.io/lkt/init:1']]),
    }),
  ];
}
