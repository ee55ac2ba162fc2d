import type { EngineGroup, EngineRequest } from './engine.ts';

/** The change that a pass makes to the group of an engine. */
type EngineAction = 'state' | 'roll' | 'rollBack' | 'renew' | 'stop' | 'setDefault' | undefined;

/** The result of {@link decideEngine}. */
export interface EngineDecision {
  readonly action: EngineAction;
  readonly isHalted: boolean;
  readonly isRolledBack: boolean;
  readonly holds: readonly string[];
}

/** Limits by the file and the time. */
export interface EngineLimits {
  /** A window is open, or the group has no windows. */
  readonly isOpen: boolean;
  readonly isPaused: boolean;
  /** Begins a roll again that failed. */
  readonly isRetry: boolean;
  /** A roll replaces the nodes if one was created before; undefined for engines that keep ages. */
  readonly expiredBefore?: number;
}

/**
 * Returns the next action for the engine of one group. A pure function.
 *
 * A roll that failed is not begun again for the same spec: the engine's record of it is the halt,
 * or the rollback. A halt ends with the age of a node, by a rollback. A roll of another spec is
 * stopped first, since engines run one at a time.
 */
export function decideEngine(
  request: EngineRequest,
  stated: string,
  current: EngineGroup | undefined,
  { isOpen, isPaused, isRetry, expiredBefore = -Infinity }: EngineLimits,
): EngineDecision {
  const none = { isHalted: false, isRolledBack: false, holds: [] };
  if (current === undefined) return { ...none, action: 'state' };
  const { roll, nodes } = current;
  const isSet = current.stated === stated && current.size === request.size;
  const isOwn = roll?.spec === request.spec;
  if (roll?.state === 'running') {
    if (!isOwn || isPaused)
      return { ...none, action: 'stop', holds: isPaused ? ['the group is paused'] : [] };
    // Engines reject other changes meanwhile, or begin anew for them.
    return { ...none, action: undefined };
  }
  if (roll?.state === 'rollingBack') {
    if (!isOwn) return { ...none, action: 'stop' };
    // Neither a pause nor a window holds a rollback.
    const holds = ["the engine's roll failed, and is rolled back"];
    return { action: undefined, isHalted: false, isRolledBack: true, holds };
  }
  if (!isSet) return { ...none, action: 'state' };
  const isLike = ({ runs }: { readonly runs: { readonly spec: string } | undefined }): boolean =>
    runs?.spec === request.spec;
  const isDone =
    isLike(current) && nodes.every((node) => isLike(node) || node.power === 'terminating');
  const hasExpired = nodes.some(
    ({ created, power }) => power !== 'terminating' && created <= expiredBefore,
  );
  if (isDone && !hasExpired)
    return { ...none, action: current.hasOldDefault === true ? 'setDefault' : undefined };
  const hasFailed = isOwn && (roll?.state === 'failed' || roll?.state === 'rolledBack');
  if (hasFailed && !isRetry) {
    const isRolledBack = roll.state === 'rolledBack';
    // No node grows old for want of an image that boots.
    const isDue = hasExpired && isOpen && !isPaused;
    const returns = request.rollback === 'auto' || isDue;
    if (!isRolledBack && current.earlier !== undefined && returns)
      return { ...none, action: 'rollBack' };
    const why = roll.message === undefined ? '' : `: ${roll.message}`;
    return {
      action: isRolledBack && isDue ? 'renew' : undefined,
      isHalted: true,
      isRolledBack,
      holds: [
        `the engine's roll ${isRolledBack ? 'was rolled back' : 'failed'}${why}`,
        ...(hasExpired && !isRolledBack ? ['nodes are older than expire.after'] : []),
      ],
    };
  }
  if (isPaused) return { ...none, action: undefined, holds: ['the group is paused'] };
  if (!isOpen) return { ...none, action: undefined, holds: ['no window for replacements is open'] };
  return { ...none, action: 'roll' };
}
