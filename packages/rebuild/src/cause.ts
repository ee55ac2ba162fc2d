/** The reason why a file differs between two builds. */
export type CauseKind =
  | 'time' // the clock, or a duration
  | 'order' // the same data in another order
  | 'path' // a path on the build machine
  | 'owner' // the user of the build
  | 'random' // random numbers or names
  | 'processors' // the number of processors
  | 'address' // an address in memory
  | 'hostname'
  | 'kernel' // the release of the running kernel
  | 'file-system' // inode and device numbers, free space
  | 'machine' // a number of the clock, the file system or memory
  | 'builder' // lkt itself, or sources that changed during the check
  | 'unknown';

/** A cause with its description and fix. */
export interface Cause {
  readonly kind: CauseKind;
  /** A phrase for the user that names the cause. */
  readonly text: string;
  /** The fix, as an imperative sentence. */
  readonly fix: string;
}

const CAUSES: Readonly<Record<CauseKind, Omit<Cause, 'kind'>>> = {
  time: {
    text: 'a time',
    fix: 'take the time from SOURCE_DATE_EPOCH, as in: date -u -d "@$SOURCE_DATE_EPOCH"',
  },
  order: {
    text: 'the order of entries, such as that of a directory',
    fix: 'sort it: … | LC_ALL=C sort, or find … -print0 | LC_ALL=C sort -z',
  },
  path: { text: 'a path of the build machine', fix: 'write only paths of the image' },
  owner: {
    text: 'the user of the build',
    fix: 'set the owner: chown 0:0, or tar --owner=0 --group=0',
  },
  random: {
    text: 'random data',
    fix: 'take the value from the sources, use a fixed name instead of mktemp, or remove the file in the same RUN',
  },
  processors: {
    text: 'the number of processors',
    fix: 'use a fixed number instead of $(nproc) if the result depends on it',
  },
  address: { text: 'a memory address', fix: 'do not write addresses or sort by them' },
  hostname: { text: 'the host name', fix: 'write a fixed name' },
  kernel: {
    text: 'the release of the running kernel',
    fix: 'take the release from the sources instead of uname -r',
  },
  'file-system': {
    text: 'a value of the file system: inode, device or free space',
    fix: 'omit it, or remove the file in the same RUN',
  },
  machine: {
    text: 'a number: of memory, inode, device or free space, a duration, or random',
    fix: 'omit it, or remove the file in the same RUN',
  },
  builder: {
    text: 'the inputs were equal: a bug in lkt, or files changed during the check',
    fix: 'check again; if it persists, report it',
  },
  unknown: {
    text: 'unknown',
    fix: 'compare the file of two builds, and look for inputs from the environment of the command',
  },
};

/** Returns the cause of a kind; `special` overrides its default texts. */
export function cause(kind: CauseKind, special: Partial<Omit<Cause, 'kind'>> = {}): Cause {
  return { kind, ...CAUSES[kind], ...special };
}
