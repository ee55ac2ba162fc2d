import {
  type Device,
  expandCapabilities,
  type IdOrName,
  type Resources,
  type Seccomp,
  type Settings,
} from '@lkt/pkg';
import { type GoValue, goJson, goMap } from '../go-json.ts';
import { containerMounts, type Volumes } from './mounts.ts';

/** The names that settings of a container refer to. */
export interface SpecContext {
  /** Numeric ids by container name. */
  readonly ids: ReadonlyMap<string, number>;
  readonly volumes: Volumes;
}

/** Version of runtime-spec in LinuxKit's tree (config.md, "Specification version"). */
const OCI_VERSION = '1.2.1';

/**
 * Returns `config.json` of a container (runtime-spec, config.md), in the bytes that Go writes:
 * order of structs, empty fields omitted, indented by four.
 * @throws LktError CONFIG_INVALID at the name of an unknown container or volume
 */
export function containerSpec(settings: Settings, context: SpecContext): string {
  const isReadonly = settings.readonly ?? false;
  return goJson({
    ociVersion: OCI_VERSION,
    process: processOf(settings, context),
    root: { path: 'rootfs', readonly: isReadonly ? true : undefined },
    hostname: filledText(settings.hostname),
    mounts: containerMounts(settings, isReadonly, context.volumes),
    annotations: filledMap(annotationsOf(settings)),
    linux: linuxOf(settings),
  });
}

/** The annotation that lists a container's permissions for init: docs/image-yml.md#allow. */
export const ALLOW_ANNOTATION = 'lkt.allow';

/** The annotation with a container's runtime class, which the runtime reads. */
const RUNTIME_CLASS_ANNOTATION = 'lkt.runtimeClass';

/** Init gives a container an IPC namespace unless the config names the machine's. */
function annotationsOf(settings: Settings): Record<string, string> {
  const { allow = [], annotations, ipc, runtimeClass = '' } = settings;
  const words = [...new Set([...allow, ...(ipc === 'host' || ipc === 'root' ? ['ipc'] : [])])];
  return {
    ...annotations,
    ...(words.length === 0 ? {} : { [ALLOW_ANNOTATION]: words.toSorted().join(' ') }),
    ...(runtimeClass === '' ? {} : { [RUNTIME_CLASS_ANNOTATION]: runtimeClass }),
  };
}

function processOf(settings: Settings, { ids }: SpecContext): GoValue {
  const groups = (settings.additionalGids ?? []).map((id) => numericId(id, ids));
  const rlimits = (settings.rlimits ?? []).map(({ type, hard, soft }) => ({ type, hard, soft }));
  return {
    user: {
      uid: numericId(settings.uid ?? 0, ids),
      gid: numericId(settings.gid ?? 0, ids),
      additionalGids: filled(groups),
    },
    args: filled(settings.command ?? []),
    env: filled(settings.env ?? []),
    cwd: settings.cwd ?? '/',
    capabilities: capabilitiesOf(settings),
    rlimits: filled(rlimits),
    noNewPrivileges: settings.noNewPrivileges === true ? true : undefined,
    apparmorProfile: filledText(settings.apparmor),
    oomScoreAdj: settings.oomScoreAdj,
  };
}

/** @throws LktError CONFIG_INVALID at the name of an unknown container */
export function numericId(id: IdOrName, ids: ReadonlyMap<string, number>): number {
  if (typeof id === 'number') return id;
  const number = ids.get(id.name);
  if (number !== undefined) return number;
  throw id.at.error(`"${id.name}" is neither a number nor the name of a container`, {
    fix: 'write a number without quotes, or the name of an entry of onboot, onshutdown or services',
  });
}

function capabilitiesOf(settings: Settings): GoValue {
  const effective = expandCapabilities(settings.capabilities ?? []);
  const ambient = expandCapabilities(settings.ambient ?? []);
  const bounding = filled([...new Set([...effective, ...ambient])].toSorted());
  return {
    bounding,
    effective: filled(effective),
    inheritable: bounding,
    permitted: bounding,
    ambient: filled(ambient),
  };
}

function linuxOf(settings: Settings): GoValue {
  const devices = (settings.devices ?? []).filter(({ path }) => path !== 'all');
  return {
    uidMappings: filled((settings.uidMappings ?? []).map((mapping) => ({ ...mapping }))),
    gidMappings: filled((settings.gidMappings ?? []).map((mapping) => ({ ...mapping }))),
    sysctl: filledMap(settings.sysctl),
    resources: resourcesOf(settings.resources ?? {}, settings.devices ?? []),
    cgroupsPath: filledText(settings.cgroupsPath),
    namespaces: namespacesOf(settings),
    devices: filled(
      devices.map(({ path, type, major, minor, mode }) => ({
        path,
        type,
        major,
        minor,
        fileMode: mode,
      })),
    ),
    seccomp: seccompOf(settings.seccomp),
    rootfsPropagation: filledText(settings.rootfsPropagation),
    maskedPaths: filled(settings.maskedPaths ?? []),
    readonlyPaths: filled(settings.readonlyPaths ?? []),
  };
}

/** Devices need a cgroup rule that allows them. */
function resourcesOf(resources: Resources, devices: readonly Device[]): GoValue {
  const rules = [
    ...(resources.devices ?? []).map(({ allow, type, major, minor, access }) => ({
      allow,
      type: filledText(type),
      major,
      minor,
      access: filledText(access),
    })),
    // A FIFO needs no rule, and rules call a device of type u by its other name.
    ...devices
      .filter(({ type }) => type !== 'p')
      .map(({ path, type, major, minor }) => ({
        allow: true,
        type: type === 'u' ? 'c' : type,
        ...(path === 'all' ? {} : { major, minor }),
        access: 'rwm',
      })),
  ];
  const { devices: _devices, ...limits } = resources;
  return { devices: filled(rules), ...limits };
}

/** Keeps the order of runtime-spec, without empty fields. */
function seccompOf(seccomp: Seccomp | undefined): GoValue | undefined {
  if (seccomp === undefined) return undefined;
  const syscalls = seccomp.syscalls?.map((rule) => ({
    ...rule,
    args: rule.args?.map((argument) => ({ ...argument })),
  }));
  return { ...seccomp, syscalls };
}

/** By default network, IPC and UTS are the host's; PID and mount are new. */
function namespacesOf({ net, ipc, uts, pid, userns }: Settings): GoValue {
  const list: GoValue[] = [];
  const add = (type: string, setting: string, ...news: readonly string[]): void => {
    if (setting === 'host' || setting === 'root') return;
    list.push(news.includes(setting) ? { type } : { type, path: setting });
  };
  add('network', net ?? 'root', 'new', 'none');
  add('ipc', ipc ?? 'root', 'new');
  add('uts', uts ?? 'root', 'new');
  add('pid', pid ?? 'new', 'new');
  add('user', userns ?? 'root', 'new');
  list.push({ type: 'mount' });
  return list;
}

function filled<T extends GoValue>(list: readonly T[]): readonly T[] | undefined {
  return list.length === 0 ? undefined : list;
}

function filledText(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

function filledMap(
  map: Readonly<Record<string, string>> | undefined,
): Record<string, string> | undefined {
  return map === undefined || Object.keys(map).length === 0 ? undefined : goMap(map);
}
