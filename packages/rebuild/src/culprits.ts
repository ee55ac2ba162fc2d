import { stepId, type StepResult } from '@lkt/builder';
import type { Origin, StagePlan, Step } from '@lkt/dockerfile';

/** A step that gave something else in a second build. */
export interface Culprit {
  readonly step: Step;
  readonly first: StepResult;
  readonly second: StepResult;
  /** Whether all that the step depends on was equal; else its files changed while they were read. */
  readonly sameInputs: boolean;
  /** Whether it is why the image differs. */
  readonly reachesImage: boolean;
}

type Results = ReadonlyMap<string, StepResult>;

/**
 * The steps with which two builds of a plan part ways: those that gave something else from the same. A step after one
 * of them, or one that copies what it gave, is none.
 * @returns those that reach the image first, else in the order of the Dockerfile
 */
export function findCulprits(
  stages: readonly StagePlan[],
  target: number,
  first: Results,
  second: Results,
): readonly Culprit[] {
  const found = new Map<Step, Culprit>();
  for (const id of placesOnTheWay(stages, target, first, second)) {
    const culprit = culpritAt(stages, id, first, second, true);
    if (culprit !== undefined) found.set(culprit.step, culprit);
  }
  for (const [id, one] of first) {
    const other = second.get(id);
    if (other === undefined || other.key !== one.key || isSame(one, other)) continue;
    const culprit = culpritAt(stages, id, first, second, false);
    if (culprit !== undefined && !found.has(culprit.step)) found.set(culprit.step, culprit);
  }
  return [...found.values()].toSorted(
    (a, b) =>
      Number(b.reachesImage) - Number(a.reachesImage) ||
      a.step.position.line - b.step.position.line,
  );
}

function culpritAt(
  stages: readonly StagePlan[],
  id: string,
  first: Results,
  second: Results,
  reachesImage: boolean,
): Culprit | undefined {
  const [one, other] = [first.get(id), second.get(id)];
  if (one === undefined || other === undefined) return undefined;
  const step = stages.find(({ index }) => index === one.stage)?.steps[one.number - 1];
  if (step === undefined) return undefined;
  return { step, first: one, second: other, sameInputs: one.key === other.key, reachesImage };
}

/** Goes back from the target: the first step that differs in each stage that anything was taken from. */
function placesOnTheWay(
  stages: readonly StagePlan[],
  target: number,
  first: Results,
  second: Results,
): ReadonlySet<string> {
  const found = new Set<string>();
  const visited = new Map<number, boolean>();
  /** Whether the stage differs. */
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
      // All that it copies from is looked at: several may differ.
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
