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
 * Rejects, before anything runs, steps with inputs that are not in the request.
 * @throws UNSUPPORTED
 * @throws PIN_MISSING, DOCKERFILE_INVALID for downloads of ADD
 */
export function rejectUnsupported({ plan, dockerfile }: RequestPlan, request: BuildRequest): void {
  const fail = (position: Position, what: string, fix?: string): never => {
    throw sourceError('UNSUPPORTED', request.dockerfile, position, what, { fix });
  };
  for (const step of plan.stages.flatMap(({ steps }) => steps)) {
    if (step.kind === 'run') rejectRun(step, request.network, fail);
    if (step.kind !== 'add') continue;
    checkRemoteFile(step, request.dockerfile);
    checkGitSource(step, request.dockerfile);
    rejectName(step, fail);
  }
  if (dockerfile.directives.escape === '\\') return;
  const stage = plan.stages.find(({ baseTriggers }) => baseTriggers.length > 0);
  if (stage !== undefined) {
    fail(
      stage.position,
      'ONBUILD instructions of a base image do not work with BuildKit and another escape character',
      'remove # escape=`',
    );
  }
}

type Fail = (position: Position, what: string, fix?: string) => never;

function rejectRun(step: RunStep, network: boolean, fail: Fail): void {
  if (step.security === 'insecure') fail(step.position, 'RUN --security=insecure is not supported');
  if (step.network === 'host' && !network) {
    fail(
      step.position,
      'RUN --network=host needs the network, which this package does not have',
      'write network: true in its build.yml',
    );
  }
}

/** The name of a download becomes a word of the Dockerfile, where other characters are special. */
function rejectName(step: CopyStep, fail: Fail): void {
  const remote = remoteFile(step);
  if (remote === undefined || /^[\w.+@%=:,~-]+$/.test(remote.name)) return;
  fail(
    remote.source.position,
    `the file name ${JSON.stringify(remote.name)} does not work with BuildKit`,
    'download it, and put it into the package under another name',
  );
}
