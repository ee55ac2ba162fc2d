import type { GroupConfig } from '../config/fleet-yml.ts';
import { errorAt } from '../config/group-problem.ts';
import { machineOf } from '../config/group-specs.ts';
import type { GroupProblem, Provider } from '../provider.ts';
import type { GroupSpec } from '../reconcile/group-spec.ts';
import { checkMetadata } from './metadata.ts';

/**
 * Rejects a group that its provider can never run.
 * @throws LktError CONFIG_INVALID at the key
 */
export function requireCapable(group: GroupConfig, spec: GroupSpec, provider: Provider): void {
  const problem = problemOf(group, spec, provider);
  if (problem !== undefined) throw errorAt(group, problem);
  checkMetadata(group, spec.names !== undefined);
}

function problemOf(
  group: GroupConfig,
  { size, names }: GroupSpec,
  provider: Provider,
): GroupProblem | undefined {
  const { volumes, metadata, console } = provider.capabilities;
  const { provider: name, template, health, settings } = group;
  if (!volumes && (template?.volumes.size ?? 0) > 0)
    return {
      keys: ['template'],
      message: `${name} attaches no volumes`,
      fix: 'remove volumes, or use a provider that attaches them: qemu, libvirt',
    };
  if (!metadata && template?.metadata !== undefined)
    return {
      keys: ['template'],
      message: `${name} delivers no metadata`,
      fix: 'remove metadata, and put it into the image',
    };
  if (!console && (health === undefined || health.check.kind === 'console'))
    return {
      keys: ['health'],
      message: `${name} has no console to check`,
      fix: 'check a port: health: {tcp: PORT}',
    };
  return provider.check?.({ size, hasSlots: names !== undefined, settings, ...machineOf(group) });
}
