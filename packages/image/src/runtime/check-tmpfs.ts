import type { LktError } from '@lkt/core';
import type { Mount, Settings } from '@lkt/pkg';

/** Returns the error for a tmpfs that the kernel does not mount, if there is one. */
export function tmpfsProblem({ tmpfs = [], mounts = [], runtime }: Settings): LktError | undefined {
  for (const mount of [...tmpfs, ...mounts, ...(runtime?.mounts ?? [])]) {
    const { type, options = [], at } = mount;
    if (type !== 'tmpfs' || isOfExisting(mount)) continue;
    for (const option of options) {
      const [, name = '', value] = /^([^=]*)(?:=(.*))?$/s.exec(option) ?? [];
      const rule = Object.hasOwn(VALUES, name) ? VALUES[name] : undefined;
      if (rule !== undefined && (value === undefined || !rule.isValid(value)))
        return at.error(`tmpfs does not take ${JSON.stringify(option)}`, {
          cause: new Error(`"${name}" is ${rule.what}`),
          fix: `write it as ${name}=${rule.example}`,
        });
    }
  }
  return undefined;
}

/** Reports whether a mount binds or changes an existing file system. */
export function isOfExisting({ type, options = [] }: Pick<Mount, 'type' | 'options'>): boolean {
  return type === 'bind' || options.some((option) => /^(?:r?bind|remount|move)$/.test(option));
}

interface Rule {
  readonly isValid: (value: string) => boolean;
  readonly what: string;
  readonly example: string;
}

/** The largest number that is an id; the kernel takes the next one as none. */
const MAX_ID = 2 ** 32 - 2;

const ID: Rule = {
  isValid: (value) =>
    /^\+?(?:0x[0-9a-f]+|\d+)$/i.test(value) && (!/^[1-9]/.test(value) || Number(value) <= MAX_ID),
  what: `a number up to ${MAX_ID}`,
  example: '1000',
};

// The kernel reads as much as is a number, so that a suffix may follow nothing.
const COUNT: Rule = {
  isValid: (value) => value !== '' && /^(?:0x[0-9a-f]*|\d*)[kmgtpe]?$/i.test(value),
  what: 'a number, perhaps with one of the suffixes k, m and g',
  example: '10k',
};

/** Options with a value, by the rules of mm/shmem.c and lib/cmdline.c of Linux. */
const VALUES: Readonly<Record<string, Rule>> = {
  size: {
    isValid: (value) => value !== '' && /^(?:0x[0-9a-f]*|\d*)[kmgtpe]?%?$/i.test(value),
    what: 'a number of bytes, perhaps with one of the suffixes k, m, g and %',
    example: '64m',
  },
  nr_blocks: COUNT,
  nr_inodes: COUNT,
  mode: {
    isValid: (value) => /^\+?[0-7]+$/.test(value) && Number.parseInt(value, 8) < 2 ** 32,
    what: 'an octal number',
    example: '0755',
  },
  uid: ID,
  gid: ID,
};
