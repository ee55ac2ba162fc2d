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
    allow: withDefault(boolean, false, 'whether it may be used'),
    type: omitEmpty(choice('a', 'b', 'c', ''), 'a: all, b: block, c: character'),
    major: optional(NUMBER, 'without it, any'),
    minor: optional(NUMBER, 'without it, any'),
    access: omitEmpty(text(), 'r, w, m (make the node)'),
  }),
);

const MEMORY: YamlType<Limits> = record({
  limit: optional(NUMBER, 'bytes'),
  reservation: optional(NUMBER, 'bytes that are left to it longest'),
  swap: optional(NUMBER, 'bytes of memory and swap together'),
  kernel: optional(NUMBER, 'bytes; cgroup v1'),
  kernelTCP: optional(NUMBER, 'bytes; cgroup v1'),
  swappiness: optional(integer(0, 200), '0 to 200; cgroup v1'),
  disableOOMKiller: optional(boolean, 'cgroup v1'),
});

const CPU: YamlType<Limits> = record({
  shares: optional(NUMBER, 'relative weight'),
  quota: optional(NUMBER, 'microseconds in each period'),
  period: optional(NUMBER, 'microseconds'),
  realtimeRuntime: optional(NUMBER, 'microseconds; cgroup v1'),
  realtimePeriod: optional(NUMBER, 'microseconds; cgroup v1'),
  cpus: omitEmpty(text(), 'the processors it runs on: "0-3,6"'),
  mems: omitEmpty(text(), 'the memory nodes it uses'),
});

const WEIGHT = integer(0, 1000);

const THROTTLE = omitEmpty(
  list(
    record({
      major: withDefault(NUMBER, 0, 'of the device'),
      minor: withDefault(NUMBER, 0, 'of the device'),
      rate: withDefault(NUMBER, 0, 'bytes or operations in a second'),
    }),
  ),
  'limits of devices',
);

const BLOCK_IO: YamlType<Limits> = record({
  weight: optional(WEIGHT, '10 to 1000'),
  leafWeight: optional(WEIGHT, 'cgroup v1'),
  weightDevice: omitEmpty(
    list(
      record({
        major: withDefault(NUMBER, 0, 'of the device'),
        minor: withDefault(NUMBER, 0, 'of the device'),
        weight: optional(WEIGHT, '10 to 1000'),
        leafWeight: optional(WEIGHT, 'cgroup v1'),
      }),
    ),
    'weights of devices',
  ),
  throttleReadBpsDevice: THROTTLE,
  throttleWriteBpsDevice: THROTTLE,
  throttleReadIOPSDevice: THROTTLE,
  throttleWriteIOPSDevice: THROTTLE,
});

const NETWORK: YamlType<Limits> = record({
  classID: optional(NUMBER, 'of the packets; cgroup v1'),
  priorities: omitEmpty(
    list(
      record({
        name: withDefault(text(), '', 'the interface'),
        priority: withDefault(NUMBER, 0, 'of its packets'),
      }),
    ),
    'priorities of interfaces; cgroup v1',
  ),
});

const HUGEPAGES: YamlType<readonly Limits[]> = list(
  record({
    pageSize: withDefault(scalar, '', 'such as 2MB'),
    limit: withDefault(NUMBER, 0, 'bytes'),
  }),
);

/** A file of a control group, such as `memory.high`. Excludes paths into other groups. */
const CGROUP_FILE = /^[a-z0-9_]+(?:\.[A-Za-z0-9_-]+)+$/;

const UNIFIED: YamlType<Readonly<Record<string, string>>> = mapping(scalar).transform(
  (files, value) => {
    for (const [name, item] of value.entries()) {
      if (!CGROUP_FILE.test(name))
        throw item.error(`"${name}" is not a file of a control group`, {
          fix: 'write it as the kernel names it, such as memory.high',
        });
      if (item.text().includes('\n')) throw item.error('it is more than one line');
    }
    return Object.fromEntries([...files].toSorted(([a], [b]) => (a < b ? -1 : 1)));
  },
);

export const RESOURCES: YamlType<Resources> = record({
  devices: omitEmpty(DEVICE_RULES, 'which devices it may use'),
  memory: optional(MEMORY, 'how much memory it may use'),
  cpu: optional(CPU, 'how much processor time it may use'),
  pids: optional(
    record({ limit: withDefault(NUMBER, 0, 'how many') }),
    'how many processes it may have',
  ),
  // Go would write `blockIO` into a label, which LinuxKit's own parser rejects.
  blockio: optional(BLOCK_IO, 'how much it may read and write'),
  hugepageLimits: omitEmpty(HUGEPAGES, 'how many huge pages it may use'),
  network: optional(NETWORK, 'marks of its packets; cgroup v1'),
  unified: optional(UNIFIED, 'files of cgroup v2, and what is written into them'),
}).transform(({ blockio, hugepageLimits, network, unified, ...others }) => ({
  ...others,
  // In the order in which Go writes them.
  blockIO: blockio,
  hugepageLimits,
  network,
  unified,
}));
