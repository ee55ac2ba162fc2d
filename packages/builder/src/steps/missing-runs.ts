import { stepId } from '../variation.ts';
import type { WorkerJob } from '../worker/worker-protocol.ts';

/** Returns the number of RUNs that may run. */
export function missingRuns({ plan, known }: Pick<WorkerJob, 'plan' | 'known'>): number {
  const ids = new Set(known.map(stepId));
  const missing = plan.stages.flatMap(({ index: stage, steps }) =>
    steps.filter((_step, before) => !ids.has(stepId({ stage, number: before + 1 }))),
  );
  return missing.filter(({ kind }) => kind === 'run').length;
}
