import { list, nearest, text, type YamlType, type YamlValue } from '@lkt/core';
import { distinct } from './distinct.ts';

/** A resource limit, see setrlimit(2). 2^64 - 1 means unlimited. */
export interface Rlimit {
  readonly type: string;
  readonly soft: bigint;
  readonly hard: bigint;
}

const NAMES = [
  'AS',
  'CORE',
  'CPU',
  'DATA',
  'FSIZE',
  'LOCKS',
  'MEMLOCK',
  'MSGQUEUE',
  'NICE',
  'NOFILE',
  'NPROC',
  'RSS',
  'RTPRIO',
  'RTTIME',
  'SIGPENDING',
  'STACK',
] as const;

const UNLIMITED = 2n ** 64n - 1n;

/** The largest value of fs.nr_open, above which setrlimit(2) fails (linux/fs/file.c). */
const MAX_FILES = 2_147_483_584n;

/** Parses a list of `name,soft,hard`, such as `nproc,512,unlimited`. */
export const RLIMITS: YamlType<readonly Rlimit[]> = distinct(
  list(
    text({
      matches: /^[^,]*,[^,]*,[^,]*$/,
      problem: (limit) => `"${limit}" is not a limit`,
      fix: 'write it as name,soft,hard',
    }).transform((limit, item) => {
      const [name = '', soft = '', hard = ''] = limit.split(',').map((part) => part.trim());
      const bare = name.toUpperCase().replace(/^RLIMIT_/, '');
      if (!NAMES.some((known) => known === bare)) {
        const near = nearest(bare, NAMES);
        throw item.error(
          `unknown limit: ${name}`,
          near === undefined ? {} : { fix: `did you mean "${near.toLowerCase()}"?` },
        );
      }
      const limits = { soft: amount(item, soft), hard: amount(item, hard) };
      if (limits.soft > limits.hard)
        throw item.error(`the soft limit ${soft} is above the hard limit ${hard}`, {
          fix: `write it as ${name},SOFT,HARD with SOFT at most HARD`,
        });
      if (bare === 'NOFILE' && limits.hard > MAX_FILES)
        throw item.error(
          `a process cannot have ${hard} files: Linux does not allow more than ${MAX_FILES}`,
          {
            fix: 'write 1048576, the largest that fs.nr_open allows by default',
          },
        );
      return { type: `RLIMIT_${bare}`, ...limits };
    }),
  ),
  ({ type }) => type,
  (type) => `${type.replace('RLIMIT_', '').toLowerCase()} has two limits`,
);

function amount(item: YamlValue, limit: string): bigint {
  if (limit.toLowerCase() === 'unlimited') return UNLIMITED;
  if (/^\d{1,20}$/.test(limit)) {
    const number = BigInt(limit);
    if (number <= UNLIMITED) return number;
  }
  throw item.error(`"${limit}" is neither a number nor "unlimited"`);
}
