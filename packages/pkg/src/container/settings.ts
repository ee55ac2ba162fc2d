// The settings of a container: of an entry in an image config, of `config` in build.yml, and of the
// label `org.mobyproject.config` of an image. Their order and the omission of empty ones follow the
// Go structs of LinuxKit and opencontainers/runtime-spec, so that the label equals LinuxKit's byte
// for byte.

import {
  boolean,
  either,
  type Fields,
  integer,
  list,
  mapping,
  optional,
  parseYaml,
  record,
  type SourceFile,
  text,
  omitEmpty,
  type Values,
  type YamlType,
  type YamlValue,
} from '@lkt/core';
import { CAPABILITY_NAMES } from './capabilities.ts';
import { type Device, DEVICES } from './devices.ts';
import { BINDS, ID_MAPPINGS, type IdMapping, type Mount, MOUNTS, TMPFS } from './mounts.ts';
import { RESOURCES, type Resources } from './resources.ts';
import { type Rlimit, RLIMITS } from './rlimits.ts';
import { RUNTIME, type RuntimeSettings } from './runtime.ts';
import { SECCOMP, type Seccomp } from './seccomp.ts';
import {
  AFTER,
  type After,
  ON_FAILURE,
  type OnFailure,
  READY,
  type Ready,
  RESTART,
  type Restart,
} from './supervision.ts';

/** A numeric id, or the name of a container that stands for the id of that container. */
export type Id = number | { readonly name: string; readonly at: YamlValue };

/**
 * The settings of a container: all fields of an image config entry except name and image, or the
 * content of an image's label.
 */
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
  readonly seccomp?: Seccomp;
  /** Name of an AppArmor profile that the kernel has loaded. */
  readonly apparmor?: string;
  readonly restart?: Restart;
  readonly after?: readonly After[];
  readonly ready?: Ready;
  readonly onfailure?: OnFailure;
}

const TEXTS = list(text());
const TEXT_MAP: YamlType<Readonly<Record<string, string>>> = mapping(text()).transform((map) =>
  Object.fromEntries(map),
);

export const ID: YamlType<Id> = either(
  integer(0, 2 ** 32 - 1, (number) => `${number} is not an id: ids go from 0 to 4294967295`),
  (value) => !value.isString(),
  text().transform((name, at): Id => (name === '' || name === 'root' ? 0 : { name, at })),
);

const FIELDS = {
  capabilities: optional(CAPABILITY_NAMES, 'what it may do of what only root may'),
  'capabilities.add': optional(CAPABILITY_NAMES, "besides those of the image's label"),
  ambient: optional(CAPABILITY_NAMES, "capabilities that programs keep when they are not root's"),
  mounts: optional(MOUNTS, 'file systems it has'),
  binds: optional(BINDS, 'SOURCE:DESTINATION, then :OPTION,…; a source without / is a volume'),
  'binds.add': optional(BINDS, "besides those of the image's label"),
  devices: optional(DEVICES, 'devices it has'),
  tmpfs: optional(TMPFS, 'DESTINATION, then :OPTION,…'),
  command: optional(TEXTS, "what runs, instead of the image's own"),
  env: optional(TEXTS, "NAME=VALUE, instead of the image's own"),
  cwd: omitEmpty(text(), 'the working directory'),
  net: omitEmpty(text(), 'the network namespace: new, host, or the path of one'),
  pid: omitEmpty(text(), 'the PID namespace: new, host, or the path of one'),
  ipc: omitEmpty(text(), 'the IPC namespace: new, host, or the path of one'),
  uts: omitEmpty(text(), 'the UTS namespace: new, host, or the path of one'),
  userns: omitEmpty(text(), 'the user namespace: new, host, or the path of one'),
  hostname: omitEmpty(text(), 'in a UTS namespace of its own'),
  readonly: optional(boolean, 'whether the root file system stays as it is'),
  maskedPaths: optional(TEXTS, 'paths that look empty'),
  readonlyPaths: optional(TEXTS, 'paths that cannot be written'),
  uid: optional(ID, 'a number, or the name of a container, which has an id of its own'),
  gid: optional(ID, 'a number, or the name of a container'),
  additionalGids: optional(list(ID), 'more groups'),
  noNewPrivileges: optional(boolean, 'whether no program in it can get more than it has'),
  oomScoreAdj: optional(integer(-1000, 1000), 'who goes first when memory is short: 1000 does'),
  rootfsPropagation: optional(text(), 'how mounts in it are seen outside'),
  cgroupsPath: optional(text(), 'its control group'),
  resources: optional(RESOURCES, 'limits, by the names of the OCI runtime-spec'),
  sysctl: optional(TEXT_MAP, 'settings of the kernel, in namespaces of its own'),
  rlimits: optional(RLIMITS, 'NAME,SOFT,HARD, such as nofile,1024,unlimited'),
  uidMappings: optional(ID_MAPPINGS, 'of a new user namespace'),
  gidMappings: optional(ID_MAPPINGS, 'of a new user namespace'),
  annotations: optional(TEXT_MAP, 'for whoever looks at the container'),
  runtime: optional(RUNTIME, 'what init does for the container'),
  seccomp: optional(SECCOMP, 'the system calls it may do'),
  apparmor: omitEmpty(text(), 'the AppArmor profile it runs under'),
  restart: optional(RESTART, 'of a service: when it is started again'),
  after: optional(AFTER, 'of a service: the services that are ready before it starts'),
  ready: optional(READY, 'of a service: how it shows that it is ready'),
  onfailure: optional(ON_FAILURE, 'of onboot and onshutdown: what happens when it fails'),
} satisfies Fields;

/** Parses settings alone, as in a label. */
export const SETTINGS: YamlType<Settings> = record(FIELDS).transform(settingsOf);

/**
 * Returns a parser for a mapping of settings and further fields, which it returns separately.
 * @example
 * ```ts
 * const service = withSettings({ name: required(text(), 'name of the service') });
 * const { own, settings } = service.read(parseYaml(file));
 * ```
 */
export function withSettings<F extends Fields>(
  own: F,
): YamlType<{ readonly own: Values<F>; readonly settings: Settings }> {
  return record<Fields>({ ...own, ...FIELDS }).transform((all) => {
    const entries = Object.entries(all);
    return {
      own: Object.fromEntries(entries.filter(([key]) => Object.hasOwn(own, key))) as Values<F>,
      settings: settingsOf(
        Object.fromEntries(entries.filter(([key]) => Object.hasOwn(FIELDS, key))) as Values<
          typeof FIELDS
        >,
      ),
    };
  });
}

function settingsOf(fields: Values<typeof FIELDS>): Settings {
  const { 'capabilities.add': capabilitiesAdd, 'binds.add': bindsAdd, ...settings } = fields;
  return {
    ...settings,
    ...(capabilitiesAdd === undefined ? {} : { capabilitiesAdd }),
    ...(bindsAdd === undefined ? {} : { bindsAdd }),
  };
}

/**
 * Parses the label `org.mobyproject.config` of an image.
 * @param file the label's text; its path appears in errors and should name the image
 * @throws CONFIG_INVALID with line and column
 */
export function parseLabel(file: SourceFile): Settings {
  return SETTINGS.read(parseYaml(file));
}
