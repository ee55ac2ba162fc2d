import { type LktError, type Position, sourceError } from '@lkt/core';
import { formatPlatform } from '@lkt/oci';
import {
  checkGitSource,
  checkRemoteFile,
  type CopyStep,
  type RunStep,
  type StagePlan,
} from '@lkt/dockerfile';
import { thisMachine } from '../this-machine.ts';
import { isEmulated } from './emulation.ts';
import { findExecutor } from '../run/find-executor.ts';
import type { Job } from '../worker/job.ts';

/**
 * Says at once what a Dockerfile asks for that this engine does not do, rather than in the middle of a build.
 * @throws LktError UNSUPPORTED, TOOL_MISSING
 */
export function refuseUnsupported(job: Job, executor: string): void {
  findExecutor(executor);
  const fail = (position: Position, what: string, fix?: string): LktError =>
    sourceError('UNSUPPORTED', job.file, position, what, fix === undefined ? {} : { fix });
  for (const stage of job.plan.stages) {
    for (const step of stage.steps) {
      if (step.kind === 'run') refuseRun(job, stage, step, executor, fail);
      if (step.kind === 'copy' || step.kind === 'add') checkSources(job, step);
    }
  }
}

type Fail = (position: Position, what: string, fix?: string) => LktError;

function refuseRun(job: Job, stage: StagePlan, step: RunStep, executor: string, fail: Fail): void {
  const host = formatPlatform(thisMachine());
  const [, architecture = ''] = stage.platform.split('/');
  const isHosts = stage.platform === host || stage.platform.startsWith(`${host}/`);
  if (!isHosts && !isEmulated(architecture)) {
    throw fail(
      step.position,
      `RUN for ${stage.platform} needs a machine of that kind, and this one is ${host} and emulates none`,
      `have a BuildKit do it: --builder ${stage.platform}=ADDRESS, or let the kernel emulate it: apt-get install qemu-user-binfmt`,
    );
  }
  if (step.security === 'insecure')
    throw fail(
      step.position,
      'RUN --security=insecure is not supported: a command never has rights over the machine that builds',
      'remove the flag, or build this step with Docker and start FROM its image',
    );
  if (step.network === 'host' && !job.network) {
    throw fail(
      step.position,
      'RUN --network=host needs the network, which this package does not have',
      'write network: true in its build.yml',
    );
  }
  if (executor === 'bwrap' && !/^(?:0|root)?(?::(?:0|root))?$/.test(step.user)) {
    throw fail(
      step.position,
      `bubblewrap runs every command as root, and this one is for USER ${step.user}`,
      'use --executor init, runc or crun',
    );
  }
}

function checkSources(job: Job, step: CopyStep): void {
  checkRemoteFile(step, job.file);
  checkGitSource(step, job.file);
}
