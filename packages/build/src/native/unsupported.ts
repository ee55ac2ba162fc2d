import { createReadStream } from 'node:fs';
import { type LktError, type Position, sourceError } from '@lkt/core';
import { fromRaw } from '@lkt/oci';
import type { Context } from '../context.ts';
import { planCopy } from '../dockerfile/copy.ts';
import type { CopyStep, RunStep, StagePlan } from '../dockerfile/steps.ts';
import { isEmulated } from './emulation.ts';
import type { Job } from './job.ts';

/**
 * Says at once what a Dockerfile asks for that this engine does not do, rather than in the middle of a build.
 * @throws LktError UNSUPPORTED
 */
export async function refuseUnsupported(job: Job, context: Context): Promise<void> {
  const fail = (position: Position, what: string, fix?: string): LktError =>
    sourceError('UNSUPPORTED', job.file, position, what, fix === undefined ? {} : { fix });
  for (const stage of job.plan.stages) {
    for (const step of stage.steps) {
      if (step.kind === 'run') refuseRun(job, stage, step, fail);
      if (step.kind === 'copy' || step.kind === 'add') await refuseCopy(job, step, context, fail);
    }
  }
}

type Fail = (position: Position, what: string, fix?: string) => LktError;

/** Names of architectures: Node's, and those of OCI platforms. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };

function refuseRun(job: Job, stage: StagePlan, step: RunStep, fail: Fail): void {
  const host = `linux/${ARCHITECTURES[process.arch] ?? process.arch}`;
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
    throw fail(step.position, 'RUN --security=insecure is not supported');
  if (step.network === 'host' && !job.network) {
    throw fail(
      step.position,
      'RUN --network=host needs the network, which this package does not have',
      'write network: true in its build.yml',
    );
  }
  for (const { type, position, from } of step.mounts) {
    if (type === 'secret' || type === 'ssh')
      throw fail(position, `RUN --mount=type=${type} is not supported`);
    if (type === 'cache' && from.kind !== 'scratch')
      throw fail(position, 'from= of a cache mount is not supported');
  }
}

async function refuseCopy(job: Job, step: CopyStep, context: Context, fail: Fail): Promise<void> {
  for (const { kind, text, position } of step.sources) {
    if (kind !== 'path') {
      throw fail(
        position,
        `ADD ${text} fetches from the network, which is not supported`,
        'fetch it beforehand, and put it into the package',
      );
    }
  }
  if (step.kind !== 'add' || step.unpack === false || step.from.kind !== 'context') return;
  const depths = new Set(step.sources.map(({ text }) => text.split('/').length));
  const plan = planCopy(step, context, { file: job.file, isDirectory: () => true });
  for (const { source, type } of plan.entries) {
    // Archives inside a directory that is added stay as they are.
    if (type !== 'file' || !depths.has(source.split('/').length)) continue;
    if (!(await isArchive(context.node(source)?.source ?? ''))) continue;
    throw fail(
      step.position,
      `${fromRaw(source)} is an archive, and ADD would unpack it, which is not supported`,
      'use COPY and unpack it with RUN, or ADD --unpack=false',
    );
  }
}

const MAGIC = ['\u001f\u008b\u0008', 'BZh', '\u00fd7zXZ', '\u0028\u00b5\u002f\u00fd'];

/** By content, as Docker does: gzip, bzip2, xz, zstd, or a tar archive. */
async function isArchive(path: string): Promise<boolean> {
  for await (const chunk of createReadStream(path, { end: 511 })) {
    const start = (chunk as Buffer).toString('latin1');
    return MAGIC.some((magic) => start.startsWith(magic)) || start.slice(257, 262) === 'ustar';
  }
  return false;
}
