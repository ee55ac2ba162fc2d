import { type Position, sourceError } from '@lkt/core';
import type { BuildRequest, RequestPlan } from '@lkt/builder';
import {
  checkGitSource,
  checkRemoteFile,
  type CopyStep,
  remoteFile,
  type RunStep,
} from '@lkt/dockerfile';

/**
 * Says before anything runs what lkt does not have BuildKit do: what would take inputs that are not in the request.
 * @throws LktError UNSUPPORTED; PIN_MISSING, DOCKERFILE_INVALID for what ADD fetches
 */
export function refuseForeignInputs(
  { plan, dockerfile }: RequestPlan,
  request: BuildRequest,
): void {
  const fail = (position: Position, what: string, fix?: string): never => {
    throw sourceError(
      'UNSUPPORTED',
      request.dockerfile,
      position,
      what,
      fix === undefined ? {} : { fix },
    );
  };
  for (const step of plan.stages.flatMap(({ steps }) => steps)) {
    if (step.kind === 'run') refuseRun(step, request.network, fail);
    if (step.kind !== 'add') continue;
    checkRemoteFile(step, request.dockerfile);
    checkGitSource(step, request.dockerfile);
    refuseName(step, fail);
  }
  if (dockerfile.directives.escape === '\\') return;
  const stage = plan.stages.find(({ baseTriggers }) => baseTriggers.length > 0);
  if (stage !== undefined) {
    fail(
      stage.position,
      'the base image has ONBUILD instructions, which a BuildKit cannot be told in a file with another escape character',
      'leave out # escape=`',
    );
  }
}

type Fail = (position: Position, what: string, fix?: string) => never;

function refuseRun(step: RunStep, network: boolean, fail: Fail): void {
  if (step.security === 'insecure') fail(step.position, 'RUN --security=insecure is not supported');
  if (step.network === 'host' && !network) {
    fail(
      step.position,
      'RUN --network=host needs the network, which this package does not have',
      'write network: true in its build.yml',
    );
  }
}

/** What is fetched has its name in the Dockerfile that BuildKit gets, where other characters mean something. */
function refuseName(step: CopyStep, fail: Fail): void {
  const remote = remoteFile(step);
  if (remote === undefined || /^[\w.+@%=:,~-]+$/.test(remote.name)) return;
  fail(
    remote.source.position,
    `a BuildKit cannot be told of a file that is called ${JSON.stringify(remote.name)}`,
    'fetch it beforehand, and put it into the package under another name',
  );
}
