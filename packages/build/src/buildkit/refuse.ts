import { type Position, sourceError } from '@lkt/core';
import type { Step } from '../dockerfile/steps.ts';
import type { BuildRequest } from '../engine.ts';
import { checkGit } from '../git/git-source.ts';
import type { RequestPlan } from '../request-plan.ts';

/**
 * Says before anything runs what lkt does not have BuildKit do: what would take inputs that are not in the request.
 * @throws LktError UNSUPPORTED
 */
export function refuseForeignInputs({ plan }: RequestPlan, request: BuildRequest): void {
  const fail = (position: Position, what: string, fix?: string): never => {
    throw sourceError(
      'UNSUPPORTED',
      request.dockerfile,
      position,
      what,
      fix === undefined ? {} : { fix },
    );
  };
  for (const { position, baseTriggers, steps } of plan.stages) {
    if (baseTriggers.length > 0)
      fail(position, 'the base image has ONBUILD instructions, which are not supported');
    for (const step of steps) {
      refuseStep(step, request.network, fail);
      if (step.kind === 'add') checkGit(step, request.dockerfile);
    }
  }
}

function refuseStep(
  step: Step,
  network: boolean,
  fail: (position: Position, what: string, fix?: string) => never,
): void {
  if (step.kind === 'copy' || step.kind === 'add') {
    for (const { kind, text, position } of step.sources) {
      if (kind === 'http') {
        fail(
          position,
          `ADD ${text} fetches from the network, which is not supported`,
          'fetch it beforehand, and put it into the package',
        );
      }
    }
  }
  if (step.kind !== 'run') return;
  if (step.security === 'insecure') fail(step.position, 'RUN --security=insecure is not supported');
  if (step.network === 'host' && !network) {
    fail(
      step.position,
      'RUN --network=host needs the network, which this package does not have',
      'write network: true in its build.yml',
    );
  }
}
