import { release } from 'node:os';
import { DEFAULT_LIMITS, type Limits } from '../limits.ts';
import type { CommandGroup } from '../cgroup/cgroup.ts';
import type { SandboxLimits } from './sandbox.ts';

/**
 * Returns the limits that the control group of a command does not enforce.
 * @param isRoot whether the command is root of the host, whose processes the kernel does not count
 */
export function sandboxLimits(
  { memory, pids = DEFAULT_LIMITS.pids }: Limits,
  group: CommandGroup | undefined,
  isRoot: boolean,
): SandboxLimits {
  const inGroup = group?.controllers.has('pids') === true;
  const own = hasOwnPidMax();
  return {
    // The kernel reserves the pids below 300 after the first round.
    pidMax: !inGroup && own ? 300 + pids : undefined,
    processes: !inGroup && !own && !isRoot ? pids : undefined,
    data: memory !== undefined && group?.controllers.has('memory') !== true ? memory : undefined,
  };
}

function hasOwnPidMax(): boolean {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  return major > 6 || (major === 6 && minor >= 14);
}
