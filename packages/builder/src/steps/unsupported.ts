import { type LktError, sourceError } from '@lkt/core';
import { formatPlatform } from '@lkt/oci';
import { checkGitSource, checkRemoteFile, type RunStep, type StagePlan } from '@lkt/dockerfile';
import { thisMachine } from '../this-machine.ts';
import { isEmulated } from './emulation.ts';
import { findExecutor } from '../run/find-executor.ts';
import type { Job } from '../worker/job.ts';

/**
 * Rejects instructions that this engine does not support, before the build begins.
 * @throws LktError UNSUPPORTED, TOOL_MISSING
 */
export function refuseUnsupported(job: Job, executor: string): void {
  findExecutor(executor);
  for (const stage of job.plan.stages) {
    for (const step of stage.steps) {
      if (step.kind === 'run') refuseRun(job, stage, step, executor);
      if (step.kind !== 'copy' && step.kind !== 'add') continue;
      checkRemoteFile(step, job.file);
      checkGitSource(step, job.file);
    }
  }
}

function refuseRun(job: Job, stage: StagePlan, step: RunStep, executor: string): void {
  const fail = (what: string, fix: string): LktError =>
    sourceError('UNSUPPORTED', job.file, step.position, what, { fix });
  const host = formatPlatform(thisMachine());
  const [, architecture = ''] = stage.platform.split('/');
  const isHosts = stage.platform === host || stage.platform.startsWith(`${host}/`);
  if (!isHosts && !isEmulated(architecture)) {
    throw fail(
      `RUN for ${stage.platform} needs such a machine or an emulator; this machine is ${host}`,
      `build it with BuildKit: --builder ${stage.platform}=ADDRESS, or install an emulator: apt-get install qemu-user-binfmt`,
    );
  }
  if (step.security === 'insecure') {
    throw fail(
      'RUN --security=insecure is not supported: a command never gets privileges on the host',
      'remove the flag, or build this step with Docker and start FROM its image',
    );
  }
  if (step.network === 'host' && !job.network) {
    throw fail(
      'RUN --network=host needs the network, which this package does not have',
      'write network: true in its build.yml',
    );
  }
  if (executor === 'bwrap' && !/^(?:0|root)?(?::(?:0|root))?$/.test(step.user)) {
    throw fail(
      `bubblewrap runs commands only as root, not as USER ${step.user}`,
      'use --executor init, runc or crun',
    );
  }
}
