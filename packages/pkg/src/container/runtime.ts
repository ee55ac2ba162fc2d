import {
  boolean,
  list,
  optional,
  withDefault,
  record,
  text,
  omitEmpty,
  type YamlType,
} from '@lkt/core';
import { type Mount, RUNTIME_MOUNTS } from './mounts.ts';

/** Settings for init: its work for a container before and during the start. */
export interface RuntimeSettings {
  readonly cgroups?: readonly string[];
  readonly mounts?: readonly Mount[];
  readonly mkdir?: readonly string[];
  readonly interfaces?: readonly Interface[];
  readonly bindNS?: Readonly<Partial<Record<(typeof NAMESPACES)[number], string>>>;
  readonly namespace?: string;
}

/**
 * A network interface that init creates in, or moves into, the network namespace of the container.
 */
interface Interface {
  readonly name?: string;
  readonly add?: string;
  readonly peer?: string;
  readonly createInRoot: boolean;
}

export const NAMESPACES = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'user', 'uts'] as const;

const TEXTS = list(text());

const INTERFACES: YamlType<readonly Interface[]> = list(
  record({
    name: omitEmpty(text(), 'its name'),
    add: omitEmpty(text(), 'the type to make; without it, one that is there is moved'),
    peer: omitEmpty(text(), 'of a veth: the name of the other end, which stays in the root'),
    createInRoot: withDefault(boolean, false, 'make it in the root namespace, then move it'),
  }),
);

const PATH = (namespace: string): ReturnType<typeof optional<string>> =>
  optional(text(), `the path to bind the ${namespace} namespace to`);

const BIND_NS: YamlType<NonNullable<RuntimeSettings['bindNS']>> = record({
  cgroup: PATH('cgroup'),
  ipc: PATH('IPC'),
  mnt: PATH('mount'),
  net: PATH('network'),
  pid: PATH('PID'),
  user: PATH('user'),
  uts: PATH('UTS'),
});

export const RUNTIME: YamlType<RuntimeSettings> = record({
  cgroups: optional(TEXTS, 'control groups to make'),
  mounts: optional(RUNTIME_MOUNTS, 'mounts to make in the root'),
  mkdir: optional(TEXTS, 'directories to make in the root'),
  interfaces: optional(INTERFACES, "network interfaces for the container's namespace"),
  bindNS: withDefault(BIND_NS, {}, 'paths to bind its namespaces to'),
  namespace: optional(text(), "containerd's namespace"),
});
