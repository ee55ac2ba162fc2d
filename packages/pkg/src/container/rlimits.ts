import { list, nearest, text, type YamlType, type YamlValue } from '@lkt/core';

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

/** Parses a list of `name,soft,hard`, such as `nofile,1024,unlimited`. */
export const RLIMITS: YamlType<readonly Rlimit[]> = list(
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
    return { type: `RLIMIT_${bare}`, soft: amount(item, soft), hard: amount(item, hard) };
  }),
);

function amount(item: YamlValue, limit: string): bigint {
  if (limit.toLowerCase() === 'unlimited') return UNLIMITED;
  if (/^\d{1,20}$/.test(limit)) {
    const number = BigInt(limit);
    if (number <= UNLIMITED) return number;
  }
  throw item.error(`"${limit}" is neither a number nor "unlimited"`);
}
