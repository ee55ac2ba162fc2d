import type { YamlValue } from '@lkt/core';
import { boolean, integer, integerIn, oneOf, optional, present, string } from './fields.ts';

/** Cgroup limits, named and ordered as in runtime-spec, config-linux.md, "Control groups". */
export interface Resources {
  readonly devices?: readonly DeviceRule[];
  readonly memory?: Limits;
  readonly cpu?: Limits;
  readonly pids?: Limits;
  readonly blockIO?: Limits;
  readonly hugepageLimits?: readonly Limits[];
  readonly network?: Limits;
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

export function parseResources(value: YamlValue): Resources {
  const fields = value.fields([
    'devices',
    'memory',
    'cpu',
    'pids',
    'blockio',
    'hugepageLimits',
    'network',
  ]);
  return present({
    devices: optional(fields.devices, (list) => list.list().map(parseDeviceRule)),
    memory: optional(fields.memory, parseMemory),
    cpu: optional(fields.cpu, parseCpu),
    pids: optional(fields.pids, (pids) => ({
      limit: optional(pids.fields(['limit']).limit, integer) ?? 0,
    })),
    blockIO: optional(fields.blockio, parseBlockIO),
    hugepageLimits: optional(fields.hugepageLimits, (list) => list.list().map(parseHugepages)),
    network: optional(fields.network, parseNetwork),
  });
}

function parseDeviceRule(item: YamlValue): DeviceRule {
  const fields = item.fields(['allow', 'type', 'major', 'minor', 'access']);
  return {
    allow: optional(fields.allow, boolean) ?? false,
    ...present({
      type: optional(fields.type, oneOf('a', 'b', 'c', '')),
      major: optional(fields.major, integer),
      minor: optional(fields.minor, integer),
      access: optional(fields.access, string),
    }),
  };
}

function parseMemory(value: YamlValue): Limits {
  const fields = value.fields([
    'limit',
    'reservation',
    'swap',
    'kernel',
    'kernelTCP',
    'swappiness',
    'disableOOMKiller',
  ]);
  return limits({
    limit: optional(fields.limit, integer),
    reservation: optional(fields.reservation, integer),
    swap: optional(fields.swap, integer),
    kernel: optional(fields.kernel, integer),
    kernelTCP: optional(fields.kernelTCP, integer),
    swappiness: optional(fields.swappiness, integerIn(0, 200)),
    disableOOMKiller: optional(fields.disableOOMKiller, boolean),
  });
}

function parseCpu(value: YamlValue): Limits {
  const fields = value.fields([
    'shares',
    'quota',
    'period',
    'realtimeRuntime',
    'realtimePeriod',
    'cpus',
    'mems',
  ]);
  return limits({
    shares: optional(fields.shares, integer),
    quota: optional(fields.quota, integer),
    period: optional(fields.period, integer),
    realtimeRuntime: optional(fields.realtimeRuntime, integer),
    realtimePeriod: optional(fields.realtimePeriod, integer),
    cpus: optional(fields.cpus, string),
    mems: optional(fields.mems, string),
  });
}

const THROTTLES = [
  'throttleReadBpsDevice',
  'throttleWriteBpsDevice',
  'throttleReadIOPSDevice',
  'throttleWriteIOPSDevice',
] as const;

function parseBlockIO(value: YamlValue): Limits {
  const fields = value.fields(['weight', 'leafWeight', 'weightDevice', ...THROTTLES]);
  return limits({
    weight: optional(fields.weight, integerIn(0, 1000)),
    leafWeight: optional(fields.leafWeight, integerIn(0, 1000)),
    weightDevice: optional(fields.weightDevice, (list) => list.list().map(parseWeightDevice)),
    ...Object.fromEntries(
      THROTTLES.map((name) => [
        name,
        optional(fields[name], (list) => list.list().map(parseThrottle)),
      ]),
    ),
  });
}

function parseWeightDevice(item: YamlValue): Readonly<Record<string, number>> {
  const fields = item.fields(['major', 'minor', 'weight', 'leafWeight']);
  return {
    major: optional(fields.major, integer) ?? 0,
    minor: optional(fields.minor, integer) ?? 0,
    ...present({
      weight: optional(fields.weight, integerIn(0, 1000)),
      leafWeight: optional(fields.leafWeight, integerIn(0, 1000)),
    }),
  };
}

function parseThrottle(item: YamlValue): Readonly<Record<string, number>> {
  const fields = item.fields(['major', 'minor', 'rate']);
  return {
    major: optional(fields.major, integer) ?? 0,
    minor: optional(fields.minor, integer) ?? 0,
    rate: optional(fields.rate, integer) ?? 0,
  };
}

function parseHugepages(item: YamlValue): Limits {
  const fields = item.fields(['pageSize', 'limit']);
  return {
    pageSize: optional(fields.pageSize, (size) => size.text()) ?? '',
    limit: optional(fields.limit, integer) ?? 0,
  };
}

function parseNetwork(value: YamlValue): Limits {
  const fields = value.fields(['classID', 'priorities']);
  return limits({
    classID: optional(fields.classID, integer),
    priorities: optional(fields.priorities, (list) =>
      list.list().map((item) => {
        const priority = item.fields(['name', 'priority']);
        return {
          name: optional(priority.name, string) ?? '',
          priority: optional(priority.priority, integer) ?? 0,
        };
      }),
    ),
  });
}

function limits(values: Record<string, Limits[string] | undefined>): Limits {
  return present(values) as Limits;
}
