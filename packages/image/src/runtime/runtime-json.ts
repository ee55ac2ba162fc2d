import type { Mount } from '../config/mounts.ts';
import { NAMESPACES, type RuntimeSettings } from '../config/runtime.ts';
import { goJson } from '../go-json.ts';
import { mountJson } from './mounts.ts';

/** A mount that init makes for the root file system of a container. */
export type RootfsMount = Omit<Mount, 'at'>;

/**
 * `runtime.json` of a container: what init does for it before it starts, the mounts of its root file system first.
 * Lists and texts are there even when they are empty.
 */
export function runtimeJson(
  runtime: RuntimeSettings,
  rootfsMounts: readonly RootfsMount[] = [],
): string {
  const { cgroups = [], mounts = [], mkdir = [], interfaces = [], bindNS = {} } = runtime;
  return goJson({
    cgroups,
    mounts: [...rootfsMounts, ...mounts].map(mountJson),
    mkdir,
    interfaces: interfaces.map(({ name, add, peer, createInRoot }) => ({
      name: name === '' ? undefined : name,
      add: add === '' ? undefined : add,
      peer: peer === '' ? undefined : peer,
      createInRoot,
    })),
    bindNS: Object.fromEntries(NAMESPACES.map((name) => [name, bindNS[name] ?? ''])),
    namespace: runtime.namespace ?? '',
  });
}
