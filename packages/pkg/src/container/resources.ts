import {
  boolean,
  choice,
  integer,
  list,
  mapping,
  optional,
  withDefault,
  record,
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
  readonly access?: string;
}

type Limits = Readonly<
  Record<string, string | number | boolean | readonly Readonly<Record<string, string | number>>[]>
>;

const NUMBER = integer();

const DEVICE_RULES: YamlType<readonly DeviceRule[]> = list(
  record({
    allow: withDefault(boolean, false, 'whether access is allowed'),
    type: omitEmpty(choice('a', 'b', 'c', ''), 'a: all, b: block devices, c: character devices'),
    major: optional(NUMBER, 'device number; default: any'),
    minor: optional(NUMBER, 'device number; default: any'),
    access: omitEmpty(text(), 'any of r (read), w (write), m (create the node)'),
  }),
);

const MEMORY: YamlType<Limits> = record({
  limit: optional(NUMBER, 'maximum in bytes'),
  reservation: optional(NUMBER, 'soft limit in bytes'),
  swap: optional(NUMBER, 'maximum of memory and swap in bytes'),
  kernel: optional(NUMBER, 'kernel memory in bytes; cgroup v1'),
  kernelTCP: optional(NUMBER, 'TCP buffers in bytes; cgroup v1'),
  swappiness: optional(integer(0, 200), 'tendency to swap, 0 to 200; cgroup v1'),
  disableOOMKiller: optional(boolean, 'whether to disable the OOM killer; cgroup v1'),
});

const CPU: YamlType<Limits> = record({
  shares: optional(NUMBER, 'relative weight'),
  quota: optional(NUMBER, 'microseconds of processor time per period'),
  period: optional(NUMBER, 'length of a period in microseconds'),
  realtimeRuntime: optional(NUMBER, 'microseconds of realtime scheduling per period; cgroup v1'),
  realtimePeriod: optional(NUMBER, 'length of a realtime period in microseconds; cgroup v1'),
  cpus: omitEmpty(text(), 'processors to run on, such as "0-3,6"'),
  mems: omitEmpty(text(), 'memory nodes to use, such as "0"'),
});

const WEIGHT = integer(0, 1000);
const WEIGHTS = {
  weight: optional(WEIGHT, 'relative weight, 10 to 1000'),
  leafWeight: optional(WEIGHT, 'weight of tasks in the group itself; cgroup v1'),
};
const DEVICE = {
  major: withDefault(NUMBER, 0, 'major number of the device'),
  minor: withDefault(NUMBER, 0, 'minor number of the device'),
};

const THROTTLE = omitEmpty(
  list(record({ ...DEVICE, rate: withDefault(NUMBER, 0, 'bytes or operations per second') })),
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

const NETWORK: YamlType<Limits> = record({
  classID: optional(NUMBER, 'class id of its packets; cgroup v1'),
  priorities: omitEmpty(
    list(
      record({
        name: withDefault(text(), '', 'network interface'),
        priority: withDefault(NUMBER, 0, 'priority of packets'),
      }),
    ),
    'priorities per network interface; cgroup v1',
  ),
});

const HUGEPAGES: YamlType<readonly Limits[]> = list(
  record({
    pageSize: withDefault(scalar, '', 'page size, such as 2MB'),
    limit: withDefault(NUMBER, 0, 'maximum in bytes'),
  }),
);

/** A file of a control group, such as `memory.high`. Excludes paths into other groups. */
const CGROUP_FILE = /^[a-z0-9_]+(?:\.[A-Za-z0-9_-]+)+$/;

const UNIFIED: YamlType<Readonly<Record<string, string>>> = mapping(scalar).transform(
  (files, value) => {
    for (const [name, item] of value.entries()) {
      if (!CGROUP_FILE.test(name))
        throw item.error(`"${name}" is not a file of a control group`, {
          fix: 'use the name of the kernel, such as memory.high',
        });
      if (item.text().includes('\n')) throw item.error('expected a single line');
    }
    return Object.fromEntries([...files].toSorted(([a], [b]) => (a < b ? -1 : 1)));
  },
);

export const RESOURCES: YamlType<Resources> = record({
  devices: omitEmpty(DEVICE_RULES, 'access to devices'),
  memory: optional(MEMORY, 'memory limits'),
  cpu: optional(CPU, 'processor limits'),
  pids: optional(
    record({ limit: withDefault(NUMBER, 0, 'maximum number') }),
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
