import { type Directory, type Mount, NAMESPACES, type RuntimeSettings } from '@lkt/pkg';
import { goJson, type GoValue } from '../go-json.ts';
import { mountJson } from './mounts.ts';
import { type Supervision, supervisionJson } from './supervision.ts';

/** A mount that init makes for a container's root file system. */
export type RootfsMount = Omit<Mount, 'at'>;

/**
 * Returns `runtime.json`: the actions of init before the container starts, with the mounts of its
 * root file system first. LinuxKit's fields are always present, lkt's own only when used.
 */
export function runtimeJson(
  runtime: RuntimeSettings,
  rootfsMounts: readonly RootfsMount[] = [],
  supervision: Supervision = {},
): string {
  const { cgroups = [], mounts = [], mkdir = [], interfaces = [], bindNS = {} } = runtime;
  return goJson({
    cgroups,
    mounts: [...rootfsMounts, ...mounts].map(mountJson),
    mkdir: mkdir.map(directoryJson),
    interfaces: interfaces.map(({ name, add, peer, createInRoot }) => ({
      name,
      add,
      peer,
      createInRoot,
    })),
    bindNS: Object.fromEntries(NAMESPACES.map((name) => [name, bindNS[name] ?? ''])),
    namespace: runtime.namespace ?? '',
    ...supervisionJson(supervision),
  });
}

function directoryJson(directory: string | Directory): GoValue {
  if (typeof directory === 'string') return directory;
  const { path, uid, gid, mode } = directory;
  return { path, uid, gid, mode };
}
