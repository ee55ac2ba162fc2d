import { type Mount, NAMESPACES, type RuntimeSettings } from '@lkt/pkg';
import { goJson } from '../go-json.ts';
import { mountJson } from './mounts.ts';
import { type Supervision, supervisionJson } from './supervision.ts';

/** A mount that init makes for the root file system of a container. */
export type RootfsMount = Omit<Mount, 'at'>;

/**
 * `runtime.json` of a container: what init does for it before it starts, the mounts of its root file system first.
 * Lists and texts are there even when they are empty; what LinuxKit does not have only when it is used.
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
    mkdir,
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
