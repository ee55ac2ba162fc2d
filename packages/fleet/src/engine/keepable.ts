import type { YamlValue } from '@lkt/core';
import type { GroupConfig } from '../config/fleet-yml.ts';
import { childOf, errorAt } from '../config/group-problem.ts';
import type { GroupProblem } from '../provider.ts';

const REMOVE = 'remove it';

/** Settings that no engine supports. */
const UNKEPT: readonly GroupProblem[] = [
  { keys: ['nodes'], message: 'an engine names its nodes by itself', fix: 'write size' },
  {
    keys: ['template', 'volumes'],
    message: 'an engine attaches no volumes that outlive their node',
    fix: 'keep data outside of the nodes, or use a provider with volumes',
  },
  ...['cpus', 'memory'].map((key) => ({
    keys: ['template', key],
    message: "the engine's type of machine decides processors and memory",
    fix: `${REMOVE}, and choose the type`,
  })),
  {
    keys: ['template', 'publish'],
    message: 'an engine opens no ports',
    fix: `${REMOVE}, and let the rules of the cloud's firewall open the port`,
  },
  {
    keys: ['health'],
    message: 'the engine checks the health of its nodes',
    fix: `${REMOVE}, and name a health check of the engine`,
  },
  {
    keys: ['attest'],
    message: 'the engine decides which nodes serve, and attests none',
    fix: REMOVE,
  },
  {
    keys: ['maxSick'],
    message: 'the engine decides which nodes it repairs',
    fix: REMOVE,
  },
  {
    keys: ['drain'],
    message: 'the engine destroys nodes without a drain of lkt',
    fix: `${REMOVE}, and let the load balancer of the engine drain nodes`,
  },
  { keys: ['grace'], message: 'the engine decides how long a shutdown may take', fix: REMOVE },
  {
    keys: ['roll', 'canary'],
    message: 'an engine has no canaries of lkt',
    fix: `${REMOVE}, or roll a smaller group first`,
  },
  {
    keys: ['roll', 'retries'],
    message: 'the engine decides how often it tries',
    fix: REMOVE,
  },
  {
    keys: ['expire', 'jitter'],
    message: 'the engine spreads replacements by itself',
    fix: REMOVE,
  },
];

/**
 * Rejects what an engine would ignore.
 * @throws LktError CONFIG_INVALID at the key
 */
export function requireKeepable(group: GroupConfig, keepsAges: boolean): void {
  for (const problem of UNKEPT)
    if (depthOf(group.at, problem.keys) === problem.keys.length) throw errorAt(group, problem);
  if (keepsAges && group.windows.length > 0 && group.expire !== undefined)
    throw errorAt(group, {
      keys: ['windows'],
      message: 'an engine replaces nodes for their age at any time',
      fix: 'remove windows, or expire',
    });
}

/** Returns how many of the keys the file has, one below the other. */
function depthOf(at: YamlValue, [first, ...more]: readonly string[]): number {
  const child = first === undefined ? undefined : childOf(at, first);
  return child === undefined ? 0 : 1 + depthOf(child, more);
}
