/** Why a file is not the same each time it is made. */
export type CauseKind =
  | 'time' // the clock, or how long something took
  | 'order' // the same, in another order
  | 'path' // where something was on the machine
  | 'owner' // who built
  | 'random' // random numbers, or names
  | 'processors' // how many there are
  | 'address' // where something was in memory
  | 'hostname'
  | 'kernel' // of the machine
  | 'file-system' // numbers of inodes and devices, free space
  | 'machine' // a number that could be of the clock, the file system or memory
  | 'builder' // lkt itself, or the sources changed during the check
  | 'unknown';

export interface Cause {
  readonly kind: CauseKind;
  /** For people: what it is, and where it shows. */
  readonly text: string;
  /** What to do: an imperative sentence. */
  readonly fix: string;
}

const CAUSES: Readonly<Record<CauseKind, Omit<Cause, 'kind'>>> = {
  time: {
    text: 'a time',
    fix: 'take the time from SOURCE_DATE_EPOCH, as in: date -u -d "@$SOURCE_DATE_EPOCH"',
  },
  order: {
    text: 'the same in another order, such as that of a directory',
    fix: 'sort it: … | LC_ALL=C sort, or find … -print0 | LC_ALL=C sort -z',
  },
  path: { text: 'a path of the machine', fix: 'write no path that is not in the image' },
  owner: { text: 'a user', fix: 'set the owner: chown 0:0, or tar --owner=0 --group=0' },
  random: {
    text: 'something random',
    fix: 'take the value from the sources, use a fixed name instead of mktemp, or remove the file in the same RUN',
  },
  processors: {
    text: 'the number of processors',
    fix: 'give a number instead of $(nproc) where the result depends on it',
  },
  address: { text: 'an address in memory', fix: 'write no addresses, and sort by something else' },
  hostname: { text: 'the name of the machine', fix: 'write a fixed name' },
  kernel: {
    text: 'the kernel of the machine',
    fix: 'take the release from the sources instead of uname -r',
  },
  'file-system': {
    text: 'a number of the file system: inode, device or free space',
    fix: 'leave it out, or remove the file in the same RUN',
  },
  machine: {
    text: 'a number of the machine, such as memory, inode, device, free space, or how long something took',
    fix: 'leave it out, or remove the file in the same RUN',
  },
  builder: {
    text: 'the command was given the same: a defect of lkt, or the files changed meanwhile',
    fix: 'check again; should it stay, report it',
  },
  unknown: {
    text: 'not known',
    fix: 'compare the file of two builds, and look for what the command takes from its surroundings',
  },
};

export function cause(kind: CauseKind, special: Partial<Omit<Cause, 'kind'>> = {}): Cause {
  return { kind, ...CAUSES[kind], ...special };
}
