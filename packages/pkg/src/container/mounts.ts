import {
  list,
  withDefault,
  record,
  text,
  omitEmpty,
  type YamlType,
  type YamlValue,
} from '@lkt/core';
import { ID_MAPPINGS, type IdMapping } from './id-mappings.ts';

/** A mount of a container. A bind whose source is not an absolute path names a volume. */
export interface Mount {
  readonly destination: string;
  readonly type?: string;
  readonly source?: string;
  readonly options?: readonly string[];
  readonly uidMappings?: readonly IdMapping[];
  readonly gidMappings?: readonly IdMapping[];
  /** The position in the config, for errors. */
  readonly at: YamlValue;
}

/** LinuxKit's schema has `uidmappings`; Go writes `uidMappings` into a label. Both are accepted. */
const MOUNT: YamlType<Mount> = record({
  destination: withDefault(text(), '', 'path in the container'),
  type: omitEmpty(text(), 'type of the file system, or bind'),
  source: omitEmpty(
    text(),
    'device or file system to mount; for a bind, a path or the name of a volume',
  ),
  options: omitEmpty(list(text()), 'options of mount(8)'),
  uidMappings: omitEmpty(ID_MAPPINGS, 'mapping of user ids'),
  gidMappings: omitEmpty(ID_MAPPINGS, 'mapping of group ids'),
  uidmappings: omitEmpty(ID_MAPPINGS, 'alias of uidMappings'),
  gidmappings: omitEmpty(ID_MAPPINGS, 'alias of gidMappings'),
}).transform(({ uidmappings, gidmappings, ...mount }, at) => ({
  uidMappings: uidmappings,
  gidMappings: gidmappings,
  ...mount,
  at,
}));

/** Default destination by file system type. */
const DESTINATIONS: Readonly<Record<string, string>> = {
  proc: '/proc',
  devpts: '/dev/pts',
  sysfs: '/sys',
  cgroup: '/sys/fs/cgroup',
  mqueue: '/dev/mqueue',
};

/** Parses `mounts` of a container. Derives a missing type from the destination, and the reverse. */
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

/** Parses `runtime.mounts`. Adds no defaults. */
export const RUNTIME_MOUNTS: YamlType<readonly Mount[]> = list(
  MOUNT.transform((mount, item) => {
    if (mount.destination === '')
      throw item.error('the mount has no destination', { fix: 'add "destination"' });
    // mount(2) needs a type, except to bind or to change an existing mount.
    const { type, options = [] } = mount;
    if (type === undefined && !options.some((option) => /^(?:r?bind|remount)$/.test(option)))
      throw item.error('the mount has no type', {
        fix: 'add "type", or for a bind mount the option "bind"',
      });
    return mount;
  }),
);

const BIND_FORM = 'write it as SOURCE:DESTINATION or SOURCE:DESTINATION:OPTION,OPTION';

/** Parses `binds`: `source:destination[:option,…]`. */
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

/** Parses `tmpfs`: `destination[:option,…]`. */
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
