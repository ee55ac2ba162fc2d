import {
  boolean,
  choice,
  didYouMean,
  integer,
  list,
  mapping,
  optional,
  withDefault,
  record,
  required,
  scalar,
  text,
  omitEmpty,
  type YamlType,
} from '@lkt/core';

/** Cgroup limits, with names and order of runtime-spec, config-linux.md, "Control groups". */
export interface Resources {
  readonly devices?: readonly DeviceRule[];
  readonly memory?: Limits;
  readonly cpu?: Limits;
  readonly pids?: Limits;
  readonly blockIO?: Limits;
  readonly hugepageLimits?: readonly Limits[];
  readonly network?: Limits;
  /** Files of cgroup v2 and their values, sorted by name in byte order. */
  readonly unified?: Readonly<Record<string, string>>;
}

interface DeviceRule {
  readonly allow: boolean;
  readonly type?: string;
  readonly major?: number;
  readonly minor?: number;
  readonly access: string;
}

type Limits = Readonly<
  Record<string, string | number | boolean | readonly Readonly<Record<string, string | number>>[]>
>;

const NUMBER = integer();

const DEVICE_NUMBER = integer(-1, 2 ** 32 - 1);

const ACCESS = text({
  matches: /^(?!.*(.).*\1)[rwm]+$/,
  problem: (access) => `"${access}" is not an access`,
  fix: 'use r, w and m, each once',
});

/** Bytes of memory. -1 means no limit. */
const BYTES = integer(-1, Number.MAX_SAFE_INTEGER, (number) => `${number} is not a limit`);

/** Less memory holds not even the page tables and kernel stack of a process. */
const MIN_MEMORY = 65_536;

const MEMORY_LIMIT = BYTES.transform((limit, at) => {
  if (limit === -1 || limit >= MIN_MEMORY) return limit;
  throw at.error(`no container starts in ${limit} bytes`, {
    fix: 'write the limit in bytes, such as 67108864, or -1 for none',
  });
});

/** Zero means the kernel's default. */
function orDefault(
  min: number,
  max: number,
  problem: (number: number) => string,
): YamlType<number> {
  return integer(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER).transform((number, at) => {
    if (number === 0 || (number >= min && number <= max)) return number;
    throw at.error(problem(number), { fix: `write a number from ${min} to ${max}` });
  });
}

const DEVICE_RULES: YamlType<readonly DeviceRule[]> = list(
  record({
    allow: withDefault(boolean, false, 'whether access is allowed'),
    type: omitEmpty(choice('a', 'b', 'c', ''), 'a: all, b: block devices, c: character devices'),
    major: optional(DEVICE_NUMBER, 'device number; default, and -1: any'),
    minor: optional(DEVICE_NUMBER, 'device number; default, and -1: any'),
    access: required(ACCESS, 'any of r (read), w (write), m (create the node)'),
  }),
);

const MEMORY: YamlType<Limits> = record({
  limit: optional(MEMORY_LIMIT, 'maximum in bytes'),
  reservation: optional(BYTES, 'soft limit in bytes'),
  swap: optional(BYTES, 'maximum of memory and swap in bytes'),
  kernel: optional(NUMBER, 'kernel memory in bytes; cgroup v1'),
  kernelTCP: optional(NUMBER, 'TCP buffers in bytes; cgroup v1'),
  swappiness: optional(integer(0, 200), 'tendency to swap, 0 to 200; cgroup v1'),
  disableOOMKiller: optional(boolean, 'whether to disable the OOM killer; cgroup v1'),
}).transform((memory, value) => {
  const { limit = -1, swap = 0 } = memory;
  const at = value.entries().get('swap') ?? value;
  if (swap > 0 && limit === -1)
    throw at.error('it needs a limit of memory', { fix: 'add "limit"' });
  if (swap > 0 && swap < limit)
    throw at.error('it is less than the limit of memory, which it includes', {
      fix: 'write the sum of memory and swap',
    });
  return memory;
});

const COUNT = integer(0);

const SHARES = orDefault(2, 262_144, (number) => `${number} is not a weight`);

const PERIOD = orDefault(1000, 1_000_000, (number) => `${number} is not a period`);

const QUOTA = integer().transform((quota, at) => {
  if (quota <= 0 || quota >= 1000) return quota;
  throw at.error(`${quota} is less than a millisecond`, {
    fix: 'write at least 1000 microseconds, or -1 for no limit',
  });
});

/** A list of processors or memory nodes, as cpuset(7) has it. */
const NUMBERS = text().transform((numbers, at) => {
  const isList = numbers.split(',').every((range) => {
    const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(range.trim()) ?? [];
    return first !== undefined && Number(first) <= Number(last);
  });
  if (isList || numbers === '') return numbers;
  throw at.error(`"${numbers}" is not a list of numbers`, { fix: 'write it as 0-3,6' });
});

const CPU: YamlType<Limits> = record({
  shares: optional(SHARES, 'relative weight'),
  quota: optional(QUOTA, 'microseconds of processor time per period'),
  period: optional(PERIOD, 'length of a period in microseconds'),
  realtimeRuntime: optional(COUNT, 'microseconds of realtime scheduling per period; cgroup v1'),
  realtimePeriod: optional(COUNT, 'length of a realtime period in microseconds; cgroup v1'),
  cpus: omitEmpty(NUMBERS, 'processors to run on, such as "0-3,6"'),
  mems: omitEmpty(NUMBERS, 'memory nodes to use, such as "0"'),
});

const WEIGHT = orDefault(10, 1000, (number) => `${number} is not a weight`);
const WEIGHTS = {
  weight: optional(WEIGHT, 'relative weight, 10 to 1000'),
  leafWeight: optional(WEIGHT, 'weight of tasks in the group itself; cgroup v1'),
};
const DEVICE = {
  major: withDefault(COUNT, 0, 'major number of the device'),
  minor: withDefault(COUNT, 0, 'minor number of the device'),
};

const THROTTLE = omitEmpty(
  list(record({ ...DEVICE, rate: withDefault(COUNT, 0, 'bytes or operations per second') })),
  'limits per device',
);

const BLOCK_IO: YamlType<Limits> = record({
  ...WEIGHTS,
  weightDevice: omitEmpty(list(record({ ...DEVICE, ...WEIGHTS })), 'weights per device'),
  throttleReadBpsDevice: THROTTLE,
  throttleWriteBpsDevice: THROTTLE,
  throttleReadIOPSDevice: THROTTLE,
  throttleWriteIOPSDevice: THROTTLE,
});

const UINT32 = integer(0, 2 ** 32 - 1);

const NETWORK: YamlType<Limits> = record({
  classID: optional(UINT32, 'class id of its packets; cgroup v1'),
  priorities: omitEmpty(
    list(
      record({
        name: withDefault(text(), '', 'network interface'),
        priority: withDefault(UINT32, 0, 'priority of packets'),
      }),
    ),
    'priorities per network interface; cgroup v1',
  ),
});

const PAGE_SIZE = text({
  matches: /^[1-9]\d*[KMG]B$/,
  problem: (size) => `"${size}" is not a size of pages`,
  fix: 'write it as 2MB or 1GB',
});

const HUGEPAGES: YamlType<readonly Limits[]> = list(
  record({
    pageSize: required(PAGE_SIZE, 'page size, such as 2MB'),
    limit: withDefault(COUNT, 0, 'maximum in bytes'),
  }),
);

/** A file of a control group, such as `memory.high`. Excludes paths into other groups. */
const CGROUP_FILE = /^[a-z0-9_]+(?:\.[A-Za-z0-9_-]+)+$/;

/** Controllers of cgroup v2 (linux/Documentation/admin-guide/cgroup-v2.rst). */
const CONTROLLERS = [
  'cpu',
  'cpuset',
  'dmem',
  'hugetlb',
  'io',
  'irq',
  'memory',
  'misc',
  'perf_event',
  'pids',
  'rdma',
];

/** Files of every group that set a limit; others move, freeze or kill its processes. */
const CGROUP_LIMITS: ReadonlySet<string> = new Set(['cgroup.max.depth', 'cgroup.max.descendants']);

const UNIFIED: YamlType<Readonly<Record<string, string>>> = mapping(scalar).transform(
  (files, value) => {
    for (const [name, item] of value.entries()) {
      if (!CGROUP_FILE.test(name))
        throw item.error(`"${name}" is not a file of a control group`, {
          fix: 'use the name of the kernel, such as memory.high',
        });
      const [controller = ''] = name.split('.');
      if (controller === 'cgroup' && !CGROUP_LIMITS.has(name))
        throw item.error(`"${name}" is no limit`, {
          fix: `use ${[...CGROUP_LIMITS].join(' or ')}, or a file of a controller`,
        });
      if (controller !== 'cgroup' && !CONTROLLERS.includes(controller))
        throw item.error(`"${controller}" is not a controller`, {
          fix: didYouMean(controller, CONTROLLERS, `use one of: ${CONTROLLERS.join(', ')}`),
        });
      if (item.text().trim() === '') throw item.error('the value is empty', { fix: 'write one' });
      if (/[\n\0]/.test(item.text())) throw item.error('expected a single line');
    }
    return Object.fromEntries([...files].toSorted(([a], [b]) => (a < b ? -1 : 1)));
  },
);

/** Processes: the most that Linux can count (PID_MAX_LIMIT); 0 and -1 mean no limit. */
const PIDS = integer(-1, 2 ** 22, (number) => `${number} is not a limit`);

export const RESOURCES: YamlType<Resources> = record({
  devices: omitEmpty(DEVICE_RULES, 'access to devices'),
  memory: optional(MEMORY, 'memory limits'),
  cpu: optional(CPU, 'processor limits'),
  pids: optional(
    record({ limit: withDefault(PIDS, 0, 'maximum number') }),
    'limit of the number of processes',
  ),
  // Go would write `blockIO` into a label, which LinuxKit's own parser rejects.
  blockio: optional(BLOCK_IO, 'limits of disk reads and writes'),
  hugepageLimits: omitEmpty(HUGEPAGES, 'limits of huge pages'),
  network: optional(NETWORK, 'class and priority of network packets; cgroup v1'),
  unified: optional(UNIFIED, 'files of cgroup v2, with their values'),
}).transform(({ blockio, hugepageLimits, network, unified, ...others }) => ({
  ...others,
  // In the order in which Go writes them.
  blockIO: blockio,
  hugepageLimits,
  network,
  unified,
}));
