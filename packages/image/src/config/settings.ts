import { type SourceFile, parseYaml, type YamlValue } from '@lkt/core';
import { parseCapabilities } from './capabilities.ts';
import { type Device, parseDevices } from './devices.ts';
import {
  boolean,
  integer,
  integerIn,
  optional,
  present,
  string,
  stringMap,
  strings,
} from './fields.ts';
import {
  type IdMapping,
  type Mount,
  parseBinds,
  parseIdMappings,
  parseMounts,
  parseTmpfs,
} from './mounts.ts';
import { parseResources, type Resources } from './resources.ts';
import { parseRlimits, type Rlimit } from './rlimits.ts';
import { parseRuntime, type RuntimeSettings } from './runtime.ts';

/** A numeric id, or the name of a container, whose own id is meant. */
export type Id = number | { readonly name: string; readonly at: YamlValue };

/** How a container runs: what an entry of an image config says beside its name and image, and the label of an image. */
export interface Settings {
  readonly capabilities?: readonly string[];
  readonly capabilitiesAdd?: readonly string[];
  readonly ambient?: readonly string[];
  readonly mounts?: readonly Mount[];
  readonly binds?: readonly Mount[];
  readonly bindsAdd?: readonly Mount[];
  readonly devices?: readonly Device[];
  readonly tmpfs?: readonly Mount[];
  readonly command?: readonly string[];
  readonly env?: readonly string[];
  readonly cwd?: string;
  readonly net?: string;
  readonly pid?: string;
  readonly ipc?: string;
  readonly uts?: string;
  readonly userns?: string;
  readonly readonly?: boolean;
  readonly maskedPaths?: readonly string[];
  readonly readonlyPaths?: readonly string[];
  readonly uid?: Id;
  readonly gid?: Id;
  readonly additionalGids?: readonly Id[];
  readonly noNewPrivileges?: boolean;
  readonly hostname?: string;
  readonly oomScoreAdj?: number;
  readonly rootfsPropagation?: string;
  readonly cgroupsPath?: string;
  readonly resources?: Resources;
  readonly sysctl?: Readonly<Record<string, string>>;
  readonly rlimits?: readonly Rlimit[];
  readonly uidMappings?: readonly IdMapping[];
  readonly gidMappings?: readonly IdMapping[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly runtime?: RuntimeSettings;
}

/** The keys of `Settings` as they are written. */
export const SETTING_KEYS = [
  'capabilities',
  'capabilities.add',
  'ambient',
  'mounts',
  'binds',
  'binds.add',
  'devices',
  'tmpfs',
  'command',
  'env',
  'cwd',
  'net',
  'pid',
  'ipc',
  'uts',
  'userns',
  'readonly',
  'maskedPaths',
  'readonlyPaths',
  'uid',
  'gid',
  'additionalGids',
  'noNewPrivileges',
  'hostname',
  'oomScoreAdj',
  'rootfsPropagation',
  'cgroupsPath',
  'resources',
  'sysctl',
  'rlimits',
  'uidMappings',
  'gidMappings',
  'annotations',
  'runtime',
] as const;

export type SettingFields = Partial<Record<(typeof SETTING_KEYS)[number], YamlValue>>;

export function parseSettings(fields: SettingFields): Settings {
  return present({
    capabilities: optional(fields.capabilities, parseCapabilities),
    capabilitiesAdd: optional(fields['capabilities.add'], parseCapabilities),
    ambient: optional(fields.ambient, parseCapabilities),
    mounts: optional(fields.mounts, parseMounts),
    binds: optional(fields.binds, parseBinds),
    bindsAdd: optional(fields['binds.add'], parseBinds),
    devices: optional(fields.devices, parseDevices),
    tmpfs: optional(fields.tmpfs, parseTmpfs),
    command: optional(fields.command, strings),
    env: optional(fields.env, strings),
    cwd: optional(fields.cwd, string),
    net: optional(fields.net, string),
    pid: optional(fields.pid, string),
    ipc: optional(fields.ipc, string),
    uts: optional(fields.uts, string),
    userns: optional(fields.userns, string),
    readonly: optional(fields.readonly, boolean),
    maskedPaths: optional(fields.maskedPaths, strings),
    readonlyPaths: optional(fields.readonlyPaths, strings),
    uid: optional(fields.uid, parseId),
    gid: optional(fields.gid, parseId),
    additionalGids: optional(fields.additionalGids, (list) => list.list().map(parseId)),
    noNewPrivileges: optional(fields.noNewPrivileges, boolean),
    hostname: optional(fields.hostname, string),
    oomScoreAdj: optional(fields.oomScoreAdj, integerIn(-1000, 1000)),
    rootfsPropagation: optional(fields.rootfsPropagation, string),
    cgroupsPath: optional(fields.cgroupsPath, string),
    resources: optional(fields.resources, parseResources),
    sysctl: optional(fields.sysctl, stringMap),
    rlimits: optional(fields.rlimits, parseRlimits),
    uidMappings: optional(fields.uidMappings, parseIdMappings),
    gidMappings: optional(fields.gidMappings, parseIdMappings),
    annotations: optional(fields.annotations, stringMap),
    runtime: optional(fields.runtime, parseRuntime),
  });
}

/**
 * The label `org.mobyproject.config` of an image.
 * @throws LktError CONFIG_INVALID as for a file with the path that `file` has, which should name the image
 */
export function parseLabel(file: SourceFile): Settings {
  return parseSettings(parseYaml(file).fields(SETTING_KEYS));
}

export function parseId(value: YamlValue): Id {
  if (!value.isString()) {
    const number = integer(value);
    if (number >= 0 && number < 2 ** 32) return number;
    throw value.error(`${number} is not an id: ids go from 0 to 4294967295`);
  }
  const name = value.string();
  return name === '' || name === 'root' ? 0 : { name, at: value };
}
