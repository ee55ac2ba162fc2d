import { stepId, type StepResult } from '@lkt/builder';
import type { Origin, StagePlan, Step } from '@lkt/dockerfile';

/** A step with different results in the two builds. */
export interface DivergentStep {
  readonly step: Step;
  readonly first: StepResult;
  readonly second: StepResult;
  /** Whether the inputs of the step were equal. If not, its files changed while they were read. */
  readonly sameInputs: boolean;
  /** Whether the image differs because of it. */
  readonly reachesImage: boolean;
}

type Results = ReadonlyMap<string, StepResult>;

/**
 * Returns the first steps with different results from equal inputs. Omits steps that depend on one
 * of them.
 * @returns the steps that reach the image first, then the others, each in the order of the
 * Dockerfile
 */
export function findDivergentSteps(
  stages: readonly StagePlan[],
  target: number,
  first: Results,
  second: Results,
): readonly DivergentStep[] {
  const found = new Map<Step, DivergentStep>();
  for (const id of divergentStepIds(stages, target, first, second)) {
    const divergent = divergentStepAt(stages, id, first, second, true);
    if (divergent !== undefined) found.set(divergent.step, divergent);
  }
  for (const [id, one] of first) {
    const other = second.get(id);
    if (other === undefined || other.key !== one.key || isSame(one, other)) continue;
    const divergent = divergentStepAt(stages, id, first, second, false);
    if (divergent !== undefined && !found.has(divergent.step)) found.set(divergent.step, divergent);
  }
  return [...found.values()].toSorted(
    (a, b) =>
      Number(b.reachesImage) - Number(a.reachesImage) ||
      a.step.position.line - b.step.position.line,
  );
}

function divergentStepAt(
  stages: readonly StagePlan[],
  id: string,
  first: Results,
  second: Results,
  reachesImage: boolean,
): DivergentStep | undefined {
  const [one, other] = [first.get(id), second.get(id)];
  if (one === undefined || other === undefined) return undefined;
  const step = stages.find(({ index }) => index === one.stage)?.steps[one.number - 1];
  if (step === undefined) return undefined;
  return { step, first: one, second: other, sameInputs: one.key === other.key, reachesImage };
}

/**
 * Returns the first differing step of each stage that the target uses, going back from the target.
 */
function divergentStepIds(
  stages: readonly StagePlan[],
  target: number,
  first: Results,
  second: Results,
): ReadonlySet<string> {
  const found = new Set<string>();
  const visited = new Map<number, boolean>();
  /** Returns whether the stage differs. */
  const visit = (index: number): boolean => {
    const known = visited.get(index);
    if (known !== undefined) return known;
    visited.set(index, false);
    const differs = look(index);
    visited.set(index, differs);
    return differs;
  };
  const look = (index: number): boolean => {
    const stage = stages.find((item) => item.index === index);
    if (stage === undefined) return false;
    let differs = stage.base.kind === 'stage' && visit(stage.base.index);
    for (const [before, step] of stage.steps.entries()) {
      const id = stepId({ stage: index, number: before + 1 });
      const [one, other] = [first.get(id), second.get(id)];
      if (one === undefined || other === undefined || isSame(one, other)) continue;
      const isCause = one.key === other.key;
      // Visits all sources, because several may differ.
      const explained = !isCause && sourceStages(step).map(visit).some(Boolean);
      if (!explained && !differs) found.add(id);
      differs = true;
    }
    return differs;
  };
  visit(target);
  return found;
}

function sourceStages(step: Step): number[] {
  const origins: Origin[] =
    step.kind === 'run'
      ? step.mounts.map(({ from }) => from)
      : step.kind === 'workdir'
        ? []
        : [step.from];
  return origins.flatMap((origin) => (origin.kind === 'stage' ? [origin.index] : []));
}

function isSame(a: StepResult, b: StepResult): boolean {
  return a.layer.diffId === b.layer.diffId;
}
