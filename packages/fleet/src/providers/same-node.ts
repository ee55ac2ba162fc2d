import type { NodeLabels } from '../node-labels.ts';
import { ProviderError } from '../provider.ts';

/**
 * Requires that the node which has the name of a request is the requested one: its create was sent
 * twice.
 * @param isTerminating it is being destroyed
 * @throws ProviderError `conflict` for another one of the group, which may go; `invalid` for one of
 * another group or fleet, which no controller of this group destroys
 */
export function requireSameNode(
  name: string,
  existing: NodeLabels,
  wanted: NodeLabels,
  isTerminating: boolean,
): void {
  const { fleet, group } = existing;
  if (fleet !== wanted.fleet)
    throw new ProviderError('invalid', `the fleet ${fleet} has a node ${name} at this provider`, {
      fix: 'give each fleet a provider of its own, such as another state directory',
    });
  if (group !== wanted.group)
    throw new ProviderError('invalid', `the node ${name} is of the group ${group}`, {
      fix: `name the group ${group} again, or add that with size: 0 first, which destroys its nodes`,
    });
  if (!isTerminating && existing.spec === wanted.spec) return;
  throw new ProviderError('conflict', `another node has the name ${name}`);
}
