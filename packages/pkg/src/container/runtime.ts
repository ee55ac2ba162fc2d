import {
  boolean,
  either,
  integer,
  list,
  optional,
  withDefault,
  record,
  required,
  text,
  omitEmpty,
  type YamlType,
} from '@lkt/core';
import { FILE_MODE } from './devices.ts';
import { distinct } from './distinct.ts';
import { type Mount, RUNTIME_MOUNTS } from './mounts.ts';
import { CONTROL_GROUP, OPTIONAL_PATH, WORD } from './texts.ts';

/** Settings for init: its work for a container before and during the start. */
export interface RuntimeSettings {
  readonly cgroups?: readonly string[];
  readonly mounts?: readonly Mount[];
  readonly mkdir?: readonly (string | Directory)[];
  readonly interfaces?: readonly Interface[];
  readonly bindNS?: Readonly<Partial<Record<(typeof NAMESPACES)[number], string>>>;
  readonly namespace?: string;
}

/** A directory that init makes, with an owner or a mode. What is undefined stays as it is. */
export interface Directory {
  readonly path: string;
  readonly uid?: number;
  readonly gid?: number;
  readonly mode?: number;
}

/**
 * A network interface that init creates in, or moves into, the network namespace of the container.
 */
interface Interface {
  readonly name: string;
  readonly add?: string;
  readonly peer?: string;
  readonly createInRoot: boolean;
}

/** Names of the namespaces that `bindNS` can bind, as in /proc/PID/ns. */
export const NAMESPACES = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'user', 'uts'] as const;

/** The highest id; chown(2) takes the next number as none. */
const MAX_ID = 2 ** 32 - 2;
const ID = integer(0, MAX_ID, (number) => `${number} is not an id: ids go from 0 to ${MAX_ID}`);

const PATH = text({
  matches: /^[^\0]+$/,
  problem: (path) => `${JSON.stringify(path)} is not a path`,
  fix: 'write it from the root',
});

const DIRECTORIES: YamlType<readonly (string | Directory)[]> = list(
  either(
    record({
      path: required(PATH, 'path in the root file system'),
      uid: optional(ID, 'id of the owner; default: as it is, and of a new directory 0'),
      gid: optional(ID, 'id of the group; default: as it is, and of a new directory 0'),
      mode: optional(FILE_MODE, 'octal, quoted; default: as it is, and of a new directory 0755'),
    }),
    (value) => value.isMap(),
    PATH,
  ),
);

/** A name that the kernel accepts for an interface (dev_valid_name of linux/net/core/dev.c). */
const INTERFACE_NAME = text({
  matches: /^(?!\.{1,2}$)[^\s\0/:%]{1,15}$/,
  problem: (name) => `${JSON.stringify(name)} is not a name for an interface`,
  fix: 'use up to 15 letters and digits',
});

const INTERFACES: YamlType<readonly Interface[]> = distinct(
  list(
    record({
      name: required(INTERFACE_NAME, 'name of the interface'),
      add: omitEmpty(WORD, 'type of a new interface; by default an existing interface is moved'),
      peer: omitEmpty(
        INTERFACE_NAME,
        'name of the other end of a veth, which stays in the root namespace',
      ),
      createInRoot: withDefault(boolean, false, 'create it in the root namespace, then move it'),
    }).transform((one, at) => {
      const { add, peer } = one;
      if (add === 'veth' && peer === undefined)
        throw at.error('a veth needs a peer', { fix: 'add "peer", the name of its other end' });
      if (add !== undefined && add !== 'veth' && peer !== undefined)
        throw at.error(`a ${add} has no peer`, { fix: 'remove "peer"' });
      return one;
    }),
  ),
  ({ name }) => name,
  (name) => `there are two interfaces "${name}"`,
);

const NAMESPACE_PATH = (namespace: string): ReturnType<typeof optional<string>> =>
  optional(OPTIONAL_PATH, `path to bind the ${namespace} namespace to`);

const BIND_NS: YamlType<NonNullable<RuntimeSettings['bindNS']>> = record({
  cgroup: NAMESPACE_PATH('cgroup'),
  ipc: NAMESPACE_PATH('IPC'),
  mnt: NAMESPACE_PATH('mount'),
  net: NAMESPACE_PATH('network'),
  pid: NAMESPACE_PATH('PID'),
  user: NAMESPACE_PATH('user'),
  uts: NAMESPACE_PATH('UTS'),
});

export const RUNTIME: YamlType<RuntimeSettings> = record({
  cgroups: optional(list(CONTROL_GROUP), 'control groups to create'),
  mounts: optional(RUNTIME_MOUNTS, 'mounts to make in the root file system'),
  mkdir: optional(
    DIRECTORIES,
    'directories to create in the root file system: a path, or {path, uid, gid, mode}',
  ),
  interfaces: optional(INTERFACES, "interfaces of the container's network namespace"),
  bindNS: withDefault(BIND_NS, {}, 'paths to bind the namespaces to'),
  namespace: optional(WORD, 'namespace of containerd'),
});
