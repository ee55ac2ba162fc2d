// The settings of a container: of an entry in an image config, of `config` in build.yml, and of the
// label `org.mobyproject.config` of an image. Their order and the omission of empty ones follow the
// Go structs of LinuxKit and opencontainers/runtime-spec, so that the label equals LinuxKit's byte
// for byte.

import {
  boolean,
  choice,
  either,
  type Fields,
  integer,
  list,
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
import { type Allowance, ALLOWANCES } from './allow.ts';
import { ANNOTATIONS } from './annotations.ts';
import { CAPABILITY_NAMES } from './capabilities.ts';
import { type Device, DEVICES } from './devices.ts';
import { ENVIRONMENT } from './environment.ts';
import { ID_MAPPINGS, type IdMapping } from './id-mappings.ts';
import { BINDS, type Mount, MOUNTS, TMPFS } from './mounts.ts';
import { namespace } from './namespaces.ts';
import { PARAMETERS } from './parameters.ts';
import { RESOURCES, type Resources } from './resources.ts';
import { type Rlimit, RLIMITS } from './rlimits.ts';
import { RUNTIME, type RuntimeSettings } from './runtime.ts';
import { SECCOMP, type Seccomp } from './seccomp.ts';
import {
  SERVICE_DEPENDENCIES,
  type ServiceDependency,
  FAILURE_ACTION,
  type FailureAction,
  READINESS_CHECK,
  type ReadinessCheck,
  RESTART_POLICY,
  type RestartPolicy,
} from './supervision.ts';
import { ABSOLUTE_PATHS, ARGUMENT, CONTROL_GROUP, OPTIONAL_PATH, WORD } from './texts.ts';

/** A numeric id, or the name of a container that stands for the id of that container. */
export type IdOrName = number | { readonly name: string; readonly at: YamlValue };

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
  readonly uid?: IdOrName;
  readonly gid?: IdOrName;
  readonly additionalGids?: readonly IdOrName[];
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
  /** Permissions beyond the defaults. */
  readonly allow?: readonly Allowance[];
  /** Class of the runtime, such as `gvisor`; runc or crun by default. */
  readonly runtimeClass?: string;
  /** Name of an AppArmor profile that the kernel has loaded. */
  readonly apparmor?: string;
  readonly restart?: RestartPolicy;
  readonly after?: readonly ServiceDependency[];
  readonly ready?: ReadinessCheck;
  readonly onfailure?: FailureAction;
  /** Seconds after which an onboot or onshutdown container is ended. */
  readonly timeout?: number;
}

/** The highest id that runc takes. 2^32 - 1 stands for no change, so that root would stay root. */
const MAX_ID = 2 ** 31 - 1;

const HOST_NAME: YamlType<string> = text({
  matches: /^(?:[^\s\0/]*)$/,
  problem: (name) => `${JSON.stringify(name)} is not a host name`,
  fix: 'use letters, digits, "-" and "."',
}).transform((name, at) => {
  const length = Buffer.byteLength(name);
  if (length <= 64) return name;
  throw at.error(`it has ${length} bytes, and a host name at most 64`, { fix: 'shorten it' });
});

const PROPAGATION = choice(
  'private',
  'rprivate',
  'shared',
  'rshared',
  'slave',
  'rslave',
  'unbindable',
  'runbindable',
  '',
);

function idOrName(max: number, problem: (id: number) => string): YamlType<IdOrName> {
  return either(
    integer(0, max, problem),
    (value) => !value.isString(),
    text().transform((name, at): IdOrName => (name === '' || name === 'root' ? 0 : { name, at })),
  );
}

/**
 * The owner of a file: its id, or the name of a container; root is 0. The id 2^32 - 1 stands for
 * none.
 */
export const ID_OR_NAME: YamlType<IdOrName> = idOrName(
  2 ** 32 - 2,
  (id) => `${id} is not an id: ids go from 0 to 4294967294`,
);

/** A user or group of a process. */
const PROCESS_ID: YamlType<IdOrName> = idOrName(
  MAX_ID,
  (id) => `${id} is not an id: runc takes 0 to ${MAX_ID}`,
);

const FIELDS = {
  capabilities: optional(CAPABILITY_NAMES, 'Linux capabilities of the container'),
  'capabilities.add': optional(
    CAPABILITY_NAMES,
    "capabilities to add to those of the image's label",
  ),
  ambient: optional(CAPABILITY_NAMES, 'capabilities of programs that do not run as root'),
  mounts: optional(MOUNTS, 'file systems to mount'),
  binds: optional(
    BINDS,
    'bind mounts, SOURCE:DESTINATION[:OPTION,…]; a source without / is a volume',
  ),
  'binds.add': optional(BINDS, "bind mounts to add to those of the image's label"),
  devices: optional(DEVICES, 'device nodes'),
  tmpfs: optional(TMPFS, 'tmpfs mounts, DESTINATION[:OPTION,…]'),
  command: optional(list(ARGUMENT), "command to run; default: the image's command"),
  env: optional(ENVIRONMENT, "environment, NAME=VALUE; default: the image's environment"),
  cwd: omitEmpty(OPTIONAL_PATH, 'working directory'),
  net: omitEmpty(namespace('none'), 'network namespace: new, host, or a path'),
  pid: omitEmpty(namespace(), 'PID namespace: new, host, or a path'),
  ipc: omitEmpty(namespace(), 'IPC namespace: new, host, or a path'),
  uts: omitEmpty(namespace(), 'UTS namespace: new, host, or a path'),
  userns: omitEmpty(namespace(), 'user namespace: new, host, or a path'),
  hostname: omitEmpty(HOST_NAME, 'host name; needs a UTS namespace'),
  readonly: optional(boolean, 'whether the root file system is read-only'),
  maskedPaths: optional(ABSOLUTE_PATHS, 'paths to hide from the container'),
  readonlyPaths: optional(ABSOLUTE_PATHS, 'read-only paths'),
  uid: optional(PROCESS_ID, 'user id: a number, or the name of a container with its own id', {
    isNullable: false,
  }),
  gid: optional(PROCESS_ID, 'group id: a number, or the name of a container with its own id', {
    isNullable: false,
  }),
  additionalGids: optional(list(PROCESS_ID), 'further group ids'),
  noNewPrivileges: optional(
    boolean,
    'whether to prevent programs from gaining privileges, such as by setuid',
  ),
  oomScoreAdj: optional(
    integer(-1000, 1000),
    'OOM killer score, -1000 to 1000; processes with high scores are killed first',
  ),
  rootfsPropagation: optional(PROPAGATION, 'mount propagation of the root file system'),
  cgroupsPath: omitEmpty(
    either(WORD, (value) => value.isString() && value.text() === '', CONTROL_GROUP),
    'path of the control group',
  ),
  resources: optional(RESOURCES, 'limits, as in the OCI runtime-spec'),
  sysctl: optional(PARAMETERS, 'kernel parameters of its namespaces'),
  rlimits: optional(RLIMITS, 'resource limits, NAME,SOFT,HARD, such as nproc,512,unlimited'),
  uidMappings: optional(ID_MAPPINGS, 'user id mappings of a new user namespace'),
  gidMappings: optional(ID_MAPPINGS, 'group id mappings of a new user namespace'),
  annotations: optional(ANNOTATIONS, 'metadata for other tools'),
  runtime: optional(RUNTIME, 'actions of init for the container'),
  seccomp: optional(SECCOMP, 'filter of system calls'),
  allow: optional(ALLOWANCES, 'what the container may do beyond the defaults'),
  runtimeClass: omitEmpty(text(), 'class of the runtime, such as gvisor; default: runc or crun'),
  apparmor: omitEmpty(text(), 'AppArmor profile'),
  restart: optional(RESTART_POLICY, 'when to restart a service'),
  after: optional(SERVICE_DEPENDENCIES, 'services that must be ready before this service starts'),
  ready: optional(READINESS_CHECK, 'readiness check of a service'),
  onfailure: optional(FAILURE_ACTION, 'action when an onboot or onshutdown container fails'),
  timeout: optional(
    integer(1, 86_400),
    'seconds after which an onboot (default 600) or onshutdown (60) container is ended and has failed',
  ),
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
