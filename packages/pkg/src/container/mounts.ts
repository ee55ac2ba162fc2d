import {
  integer,
  list,
  withDefault,
  record,
  text,
  omitEmpty,
  type YamlType,
  type YamlValue,
} from '@lkt/core';

export interface IdMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

/** A mount of a container. A bind whose source is no absolute path names a volume. */
export interface Mount {
  readonly destination: string;
  readonly type?: string;
  readonly source?: string;
  readonly options?: readonly string[];
  readonly uidMappings?: readonly IdMapping[];
  readonly gidMappings?: readonly IdMapping[];
  /** Where the user wrote it. */
  readonly at: YamlValue;
}

const ID = integer(0, 2 ** 32 - 1);

export const ID_MAPPINGS: YamlType<readonly IdMapping[]> = list(
  record({
    containerID: withDefault(ID, 0, 'the first id in the container'),
    hostID: withDefault(ID, 0, 'the id that it is outside'),
    size: withDefault(ID, 0, 'how many ids'),
  }),
);

/** LinuxKit's schema spells the mappings of a mount in lower case; what Go writes into a label is in camel case. */
const MOUNT: YamlType<Mount> = record({
  destination: withDefault(text(), '', 'where in the container'),
  type: omitEmpty(text(), 'the type of the file system, or bind'),
  source: omitEmpty(text(), 'what is mounted; of a bind, a path or the name of a volume'),
  options: omitEmpty(list(text()), 'as mount takes them'),
  uidMappings: omitEmpty(ID_MAPPINGS, 'other owners'),
  gidMappings: omitEmpty(ID_MAPPINGS, 'other groups'),
  uidmappings: omitEmpty(ID_MAPPINGS, 'as uidMappings'),
  gidmappings: omitEmpty(ID_MAPPINGS, 'as gidMappings'),
}).transform(({ uidmappings, gidmappings, ...mount }, at) => ({
  uidMappings: uidmappings,
  gidMappings: gidmappings,
  ...mount,
  at,
}));

/** Where a file system goes when nothing is said. */
const DESTINATIONS: Readonly<Record<string, string>> = {
  proc: '/proc',
  devpts: '/dev/pts',
  sysfs: '/sys',
  cgroup: '/sys/fs/cgroup',
  mqueue: '/dev/mqueue',
};

/** `mounts` of a container: type and destination are derived from each other where one is missing. */
export const MOUNTS: YamlType<readonly Mount[]> = list(
  MOUNT.transform((raw, item) => {
    const type =
      raw.type ??
      (raw.source !== undefined && Object.hasOwn(DESTINATIONS, raw.source)
        ? raw.source
        : undefined) ??
      (raw.destination === '/dev' ? 'tmpfs' : undefined);
    if (type === undefined) throw item.error(`the mount at "${raw.destination}" has no type`);
    const destination = raw.destination === '' ? (DESTINATIONS[type] ?? '') : raw.destination;
    if (destination === '') throw item.error(`the mount of type ${type} has no destination`);
    return { ...raw, destination, type, source: raw.source ?? type };
  }),
);

/** `runtime.mounts`: taken as they are. */
export const RUNTIME_MOUNTS: YamlType<readonly Mount[]> = list(MOUNT);

const BIND_FORM = 'write it as SOURCE:DESTINATION or SOURCE:DESTINATION:OPTION,OPTION';

/** `binds`: `source:destination[:option,…]`. */
export const BINDS: YamlType<readonly Mount[]> = list(
  text({
    matches: /^[^:]+:[^:]+(?::[^:]*)?$/,
    problem: (bind) => {
      const colons = bind.split(':').length - 1;
      if (colons === 0) return `"${bind}" has no ":"`;
      return colons > 2 ? `"${bind}" has too many ":"` : `"${bind}" is not a bind`;
    },
    fix: BIND_FORM,
  }).transform((bind, at) => {
    const [source = '', destination = '', options] = bind.split(':');
    return {
      destination,
      type: 'bind',
      source,
      options:
        options === undefined ? ['rw', 'rbind', 'rshared'] : [...options.split(','), 'rbind'],
      at,
    };
  }),
);

/** `tmpfs`: `destination[:option,…]`. */
export const TMPFS: YamlType<readonly Mount[]> = list(
  text({
    matches: /^[^:]+(?::[^:]*)?$/,
    problem: (tmpfs) => `"${tmpfs}" is not a tmpfs`,
    fix: 'write it as DESTINATION or DESTINATION:OPTION,OPTION',
  }).transform((tmpfs, at) => {
    const [destination = '', options] = tmpfs.split(':');
    return {
      destination,
      type: 'tmpfs',
      source: 'tmpfs',
      options: options?.split(','),
      at,
    };
  }),
);
