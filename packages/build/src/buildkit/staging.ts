import { constants } from 'node:fs';
import {
  chmod,
  copyFile,
  lutimes,
  mkdir,
  realpath,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno, LktError } from '@lkt/core';
import { fromRaw, parentPath, type RawPath, SOURCE_DATE_EPOCH } from '@lkt/oci';
import { Context } from '../context.ts';
import { planCopy } from '../dockerfile/copy.ts';
import type { BuildContext, BuildRequest } from '../engine.ts';
import { mountPlan } from '../native/plan-runner.ts';
import type { RequestPlan } from '../request-plan.ts';

/** Names below the directory of a build. Relative, so that no path of the user's has to be quoted for a program. */
export const CONTEXT = 'context';
export const DOCKERFILE_DIR = 'dockerfile';
export const LAYOUT = 'images';
export const RESULT = 'result';

/**
 * Puts what BuildKit reads beside the Dockerfile into a directory: the images it names, and of the context what a step
 * uses, with the modes and times every checkout has.
 * @throws LktError DOCKERFILE_INVALID (a COPY of nothing), UNSUPPORTED (a device in the context), IO_FAILED
 */
export async function stageInputs(
  directory: string,
  planned: RequestPlan,
  request: BuildRequest,
  { store, signal }: BuildContext,
): Promise<void> {
  for (const name of [CONTEXT, DOCKERFILE_DIR, LAYOUT]) await mkdir(join(directory, name));
  const context = new Context(request.context);
  await stageFiles(join(directory, CONTEXT), context, usedPaths(planned, request, context), signal);
  // What is ignored has been left out; this file goes before a .dockerignore that is in the context.
  await writeFile(join(directory, DOCKERFILE_DIR, 'Dockerfile.dockerignore'), '# nothing\n');
  // The blobs of the store in a layout of their own: programs make files beside them.
  const layout = join(directory, LAYOUT);
  await writeFile(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}\n');
  await writeFile(join(layout, 'index.json'), '{"schemaVersion":2,"manifests":[]}\n');
  await symlink(join(await realpath(store.dir), 'blobs'), join(layout, 'blobs'));
}

/** Files of the context that some step reads. */
function usedPaths({ plan }: RequestPlan, request: BuildRequest, context: Context): Set<RawPath> {
  const used = new Set<RawPath>();
  const options = { file: request.dockerfile, isDirectory: (): boolean => true };
  for (const step of plan.stages.flatMap(({ steps }) => steps)) {
    const plans =
      step.kind === 'workdir'
        ? []
        : step.kind === 'run'
          ? step.mounts
              .filter(({ type, from }) => type === 'bind' && from.kind === 'context')
              .map(({ source }) => mountPlan(context, source))
          : step.from.kind === 'context'
            ? [planCopy(step, context, options)]
            : [];
    for (const { source } of plans.flatMap(({ entries }) => entries)) used.add(source);
  }
  return used;
}

async function stageFiles(
  directory: string,
  context: Context,
  paths: ReadonlySet<RawPath>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const directories = new Set<RawPath>(['']);
  for (const path of paths) {
    signal?.throwIfAborted();
    const node = context.node(path);
    if (node === undefined) continue;
    const target = at(directory, path);
    await makeParents(directory, node.type === 'directory' ? path : parentPath(path), directories);
    if (node.type === 'directory') continue;
    if (node.type === 'symlink') {
      await symlink(Buffer.from(node.link ?? '', 'latin1'), target);
      await lutimes(target, SOURCE_DATE_EPOCH, SOURCE_DATE_EPOCH);
      continue;
    }
    try {
      await copyFile(node.source, target, constants.COPYFILE_FICLONE);
    } catch (error) {
      if (!isErrno(error, 'ENOENT', 'EACCES', 'EIO')) throw error;
      throw new LktError('IO_FAILED', `cannot read ${fromRaw(path)} of the build context`, {
        cause: error,
      });
    }
    await chmod(target, node.mode);
    await utimes(target, SOURCE_DATE_EPOCH, SOURCE_DATE_EPOCH);
  }
  for (const path of directories)
    await utimes(at(directory, path), SOURCE_DATE_EPOCH, SOURCE_DATE_EPOCH);
}

async function makeParents(root: string, path: RawPath, made: Set<RawPath>): Promise<void> {
  if (made.has(path)) return;
  await makeParents(root, parentPath(path), made);
  await mkdir(at(root, path));
  // Not what the umask of the caller leaves of it.
  await chmod(at(root, path), 0o755);
  made.add(path);
}

/** Names are bytes. */
function at(directory: string, path: RawPath): Buffer {
  return Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(path, 'latin1')]);
}
