import { imageSpec } from '@lkt/image';
import type { ContainerConfig } from '@lkt/oci';
import type { FileMap } from '@lkt/formats';
import { fromRaw } from '@lkt/oci';
import { compareValues, type ValueChange } from './compare-values.ts';
import { containerOf } from './facts.ts';

/** The privileges of a container, from its `config.json` and `runtime.json`. */
export interface Privileges {
  /** Section and name, such as `services/sshd`. */
  readonly container: string;
  readonly command: readonly string[];
  /** `uid:gid` */
  readonly user: string;
  /** Capabilities in its bounding set, without `CAP_`. */
  readonly capabilities: readonly string[];
  /** Permissions beyond init's defaults; `seccomp` for a filter of its own. */
  readonly allow: readonly string[];
  /** Namespaces that it has for itself; the others are those of the machine. */
  readonly namespaces: readonly string[];
  /** Directories and files of the machine, such as `/var/log` or `/dev (writable)`. */
  readonly binds: readonly string[];
  readonly devices: readonly string[];
  readonly isRootReadonly: boolean;
  readonly noNewPrivileges: boolean;
  /** In bytes. */
  readonly memoryLimit?: number;
  readonly taskLimit?: number;
  readonly restart?: string;
}

/**
 * Returns the privileges of an image's containers, by section and name. A container with an
 * unreadable spec is missing.
 */
export function privilegesOf(files: FileMap): readonly Privileges[] {
  const specs = new Map<string, Record<string, unknown>>();
  for (const [path, { content }] of files) {
    const found = containerOf(path);
    if (found === undefined || content === undefined) continue;
    const spec = specs.get(found.container) ?? {};
    spec[found.file] = parsed(content);
    specs.set(found.container, spec);
  }
  return [...specs]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([container, spec]) =>
      isRecord(spec['config.json'])
        ? [describe(fromRaw(container), spec['config.json'], spec['runtime.json'])]
        : [],
    );
}

/**
 * Compares what the containers of two images may do. An added or removed container has its command
 * as value, and an added one each privilege besides.
 */
export function comparePrivileges(before: FileMap, after: FileMap): readonly ValueChange[] {
  const old = rightsOf(before);
  const now = rightsOf(after);
  return [...new Set([...old.keys(), ...now.keys()])].toSorted().flatMap((path) => {
    const was = old.get(path);
    const is = now.get(path);
    if (is === undefined) return [{ path, before: was?.command }];
    const first = was === undefined ? [{ path, after: is.command }] : [];
    return [...first, ...compareValues(was?.rights ?? {}, is.rights, path)];
  });
}

/** Returns the commands of containers and what they may do, by section and name. */
function rightsOf(
  files: FileMap,
): ReadonlyMap<string, { readonly command: string; readonly rights: object }> {
  return new Map(
    privilegesOf(files).map(({ container, command, ...rights }) => {
      const held = Object.entries(rights).filter(
        ([, value]) => !Array.isArray(value) || value.length > 0,
      );
      return [container, { command: command.join(' '), rights: Object.fromEntries(held) }];
    }),
  );
}

/**
 * Returns the privileges of a service that runs an image with the image's own settings.
 * @throws LktError IMAGE_INVALID for invalid settings
 */
export function imagePrivileges(name: string, settings: ContainerConfig): Privileges {
  const { config, runtime } = imageSpec(name, settings);
  return describe(name, config, runtime);
}

function parsed(content: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(content).toString());
  } catch {
    return undefined;
  }
}

/** Accepts any JSON, since an image may come from anywhere: fields of another form are left out. */
function describe(container: string, config: unknown, runtime: unknown): Privileges {
  const process = at(config, 'process');
  const linux = at(config, 'linux');
  const annotations = at(config, 'annotations');
  const allow = text(at(annotations, 'lkt.allow')) ?? '';
  return {
    container,
    command: texts(at(process, 'args')),
    user: `${number(at(process, 'user', 'uid')) ?? 0}:${number(at(process, 'user', 'gid')) ?? 0}`,
    capabilities: texts(at(process, 'capabilities', 'bounding')).map((name) =>
      name.replace(/^CAP_/, ''),
    ),
    allow: [
      ...allow.split(' ').filter((word) => word !== ''),
      ...(at(linux, 'seccomp') === undefined ? [] : ['seccomp']),
    ],
    namespaces: items(at(linux, 'namespaces')).flatMap((item) => text(at(item, 'type')) ?? []),
    binds: items(at(config, 'mounts')).flatMap((mount) => {
      const options = texts(at(mount, 'options'));
      const isBind = options.some((option) => option === 'bind' || option === 'rbind');
      const source = text(at(mount, 'source')) ?? '';
      return isBind ? [options.includes('ro') ? source : `${source} (writable)`] : [];
    }),
    devices: items(at(linux, 'devices')).flatMap((item) => text(at(item, 'path')) ?? []),
    isRootReadonly: at(config, 'root', 'readonly') === true,
    noNewPrivileges: at(process, 'noNewPrivileges') === true,
    memoryLimit: number(at(linux, 'resources', 'memory', 'limit')),
    taskLimit: number(at(linux, 'resources', 'pids', 'limit')),
    restart: text(at(runtime, 'restart')),
  };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function at(value: unknown, ...keys: readonly string[]): unknown {
  return keys.reduce<unknown>(
    (found, key) => (isRecord(found) && Object.hasOwn(found, key) ? found[key] : undefined),
    value,
  );
}

function items(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

function texts(value: unknown): readonly string[] {
  return items(value).filter((item) => typeof item === 'string');
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function number(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}
