import type { YamlValue } from '@lkt/core';
import { integerIn, optional, present, string, strings } from './fields.ts';

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

const UINT32 = 2 ** 32 - 1;

/** Where a file system goes when nothing is said. */
const DESTINATIONS: Readonly<Record<string, string>> = {
  proc: '/proc',
  devpts: '/dev/pts',
  sysfs: '/sys',
  cgroup: '/sys/fs/cgroup',
  mqueue: '/dev/mqueue',
};

/** `mounts` of a container: type and destination are derived from each other where one is missing. */
export function parseMounts(value: YamlValue): readonly Mount[] {
  return value.list().map((item) => {
    const raw = parseMount(item);
    const type =
      raw.type ??
      (raw.source !== undefined && raw.source in DESTINATIONS ? raw.source : undefined) ??
      (raw.destination === '/dev' ? 'tmpfs' : undefined);
    if (type === undefined) throw item.error(`the mount at "${raw.destination}" has no type`);
    const destination = raw.destination === '' ? (DESTINATIONS[type] ?? '') : raw.destination;
    if (destination === '') throw item.error(`the mount of type ${type} has no destination`);
    return { ...raw, destination, type, source: raw.source ?? type };
  });
}

/** `runtime.mounts`: taken as they are. */
export function parseRuntimeMounts(value: YamlValue): readonly Mount[] {
  return value.list().map(parseMount);
}

/** `binds`: `source:destination[:option,…]`. */
export function parseBinds(value: YamlValue): readonly Mount[] {
  return value.list().map((item) => {
    const text = item.string();
    const [source = '', destination, options, ...rest] = text.split(':');
    if (destination === undefined) throw item.error(`"${text}" has no ":"`, { fix: BIND_FORM });
    if (rest.length > 0) throw item.error(`"${text}" has too many ":"`, { fix: BIND_FORM });
    if (source === '' || destination === '') {
      throw item.error(`"${text}" is not a bind`, { fix: BIND_FORM });
    }
    return {
      destination,
      type: 'bind',
      source,
      options:
        options === undefined ? ['rw', 'rbind', 'rshared'] : [...options.split(','), 'rbind'],
      at: item,
    };
  });
}

const BIND_FORM = 'write it as SOURCE:DESTINATION or SOURCE:DESTINATION:OPTION,OPTION';

/** `tmpfs`: `destination[:option,…]`. */
export function parseTmpfs(value: YamlValue): readonly Mount[] {
  return value.list().map((item) => {
    const text = item.string();
    const [destination = '', options, ...rest] = text.split(':');
    if (rest.length > 0 || destination === '') {
      throw item.error(`"${text}" is not a tmpfs`, {
        fix: 'write it as DESTINATION or DESTINATION:OPTION,OPTION',
      });
    }
    return {
      destination,
      type: 'tmpfs',
      source: 'tmpfs',
      ...(options === undefined ? {} : { options: options.split(',') }),
      at: item,
    };
  });
}

export function parseIdMappings(value: YamlValue): readonly IdMapping[] {
  return value.list().map((item) => {
    const id = integerIn(0, UINT32);
    const fields = item.fields(['hostID', 'containerID', 'size']);
    return {
      containerID: optional(fields.containerID, id) ?? 0,
      hostID: optional(fields.hostID, id) ?? 0,
      size: optional(fields.size, id) ?? 0,
    };
  });
}

/** LinuxKit's schema spells the mappings of a mount in lower case; what Go writes into a label is in camel case. */
function parseMount(item: YamlValue): Mount {
  const fields = item.fields([
    'destination',
    'type',
    'source',
    'options',
    'uidmappings',
    'gidmappings',
    'uidMappings',
    'gidMappings',
  ]);
  return {
    destination: optional(fields.destination, string) ?? '',
    ...present({
      type: notEmpty(optional(fields.type, string)),
      source: notEmpty(optional(fields.source, string)),
      options: optional(fields.options, strings),
      uidMappings: optional(fields.uidMappings ?? fields.uidmappings, parseIdMappings),
      gidMappings: optional(fields.gidMappings ?? fields.gidmappings, parseIdMappings),
    }),
    at: item,
  };
}

function notEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
