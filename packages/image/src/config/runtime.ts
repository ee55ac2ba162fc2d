import type { YamlValue } from '@lkt/core';
import { boolean, optional, present, string, strings } from './fields.ts';
import { type Mount, parseRuntimeMounts } from './mounts.ts';

/** What init does for a container before and while it starts it. */
export interface RuntimeSettings {
  readonly cgroups?: readonly string[];
  readonly mounts?: readonly Mount[];
  readonly mkdir?: readonly string[];
  readonly interfaces?: readonly Interface[];
  readonly bindNS?: Readonly<Partial<Record<(typeof NAMESPACES)[number], string>>>;
  readonly namespace?: string;
}

/** A network interface that is made in, or moved into, the container's network namespace. */
interface Interface {
  readonly name: string;
  readonly add: string;
  readonly peer: string;
  readonly createInRoot: boolean;
}

export const NAMESPACES = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'user', 'uts'] as const;

export function parseRuntime(value: YamlValue): RuntimeSettings {
  const fields = value.fields(['cgroups', 'mounts', 'mkdir', 'interfaces', 'bindNS', 'namespace']);
  return present({
    cgroups: optional(fields.cgroups, strings),
    mounts: optional(fields.mounts, parseRuntimeMounts),
    mkdir: optional(fields.mkdir, strings),
    interfaces: optional(fields.interfaces, (list) => list.list().map(parseInterface)),
    bindNS: optional(fields.bindNS, parseBindNamespaces),
    namespace: optional(fields.namespace, string),
  });
}

function parseInterface(item: YamlValue): Interface {
  const fields = item.fields(['name', 'add', 'peer', 'createInRoot']);
  return {
    name: optional(fields.name, string) ?? '',
    add: optional(fields.add, string) ?? '',
    peer: optional(fields.peer, string) ?? '',
    createInRoot: optional(fields.createInRoot, boolean) ?? false,
  };
}

function parseBindNamespaces(value: YamlValue): NonNullable<RuntimeSettings['bindNS']> {
  const fields = value.fields(NAMESPACES);
  return present(
    Object.fromEntries(NAMESPACES.map((name) => [name, optional(fields[name], string)])),
  );
}
