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
    name: omitEmpty(text(), 'name of the interface'),
    add: omitEmpty(text(), 'type of a new interface; by default an existing interface is moved'),
    peer: omitEmpty(text(), 'name of the other end of a veth, which stays in the root namespace'),
    createInRoot: withDefault(boolean, false, 'create it in the root namespace, then move it'),
  }),
);

const PATH = (namespace: string): ReturnType<typeof optional<string>> =>
  optional(text(), `path to bind the ${namespace} namespace to`);

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
  cgroups: optional(TEXTS, 'control groups to create'),
  mounts: optional(RUNTIME_MOUNTS, 'mounts to make in the root file system'),
  mkdir: optional(TEXTS, 'directories to create in the root file system'),
  interfaces: optional(INTERFACES, "interfaces of the container's network namespace"),
  bindNS: withDefault(BIND_NS, {}, 'paths to bind the namespaces to'),
  namespace: optional(text(), 'namespace of containerd'),
});
