import { constants, createReadStream } from 'node:fs';
import {
  chmod,
  copyFile,
  lutimes,
  mkdir,
  realpath,
  rename,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, Digester, digestHex, isErrno, LktError } from '@lkt/core';
import { compareBytes, fromRaw, parentPath, type RawPath, SOURCE_DATE_EPOCH } from '@lkt/oci';
import { planCopy } from '@lkt/dockerfile';
import {
  type BuildContext,
  type BuildRequest,
  Context,
  mountPlan,
  type RequestPlan,
} from '@lkt/builder';
import type { Builder } from './address.ts';

/**
 * Names below the directory of a build. They are relative, so that no path of the user needs
 * quoting.
 */
export const DOCKERFILE_DIR = 'dockerfile';
export const LAYOUT_DIR = 'images';
export const RESULT_DIR = 'result';

/**
 * Fills a directory with the inputs of BuildKit besides the Dockerfile: the images, and the context
 * files that a step uses, with the same modes and times as in any checkout.
 *
 * BuildKit caches a context by its name, and takes files of equal size and time for equal. So the
 * name contains a digest of the files. For buildctl all contexts have one name; there the digest
 * goes into the fraction of the files' seconds, which layers do not contain.
 * @returns the name of the directory with the context
 * @throws DOCKERFILE_INVALID for a COPY of a missing file
 * @throws UNSUPPORTED for a device in the context
 * @throws IO_FAILED if a file cannot be read
 */
export async function stageInputs(
  directory: string,
  planned: RequestPlan,
  request: BuildRequest,
  { store, signal }: BuildContext,
  program: Builder['program'],
): Promise<string> {
  for (const name of ['context', DOCKERFILE_DIR, LAYOUT_DIR]) await mkdir(join(directory, name));
  const context = new Context(request.context);
  const used = usedPaths(planned, request, context);
  const staged = await stageFiles(join(directory, 'context'), context, used, signal);
  const { digest } = staged;
  if (program === 'buildctl') {
    const time = SOURCE_DATE_EPOCH + fractionOf(digest);
    for (const path of staged.files) await utimes(path, time, time);
  }
  const name = `context-${digestHex(digest)}`;
  await rename(join(directory, 'context'), join(directory, name));
  // Ignored files are already left out. This file takes precedence over a .dockerignore in the
  // context.
  await writeFile(join(directory, DOCKERFILE_DIR, 'Dockerfile.dockerignore'), '# nothing\n');
  // A layout of its own with the store's blobs, because programs create files beside them.
  const layout = join(directory, LAYOUT_DIR);
  await writeFile(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}\n');
  await writeFile(join(layout, 'index.json'), '{"schemaVersion":2,"manifests":[]}\n');
  await symlink(join(await realpath(store.dir), 'blobs'), join(layout, 'blobs'));
  return name;
}

/** Returns the files of the context that some step reads. */
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
              .map((mount) => mountPlan(context, mount, request.dockerfile))
          : step.from.kind === 'context'
            ? [planCopy(step, context, options)]
            : [];
    for (const { source } of plans.flatMap(({ entries }) => entries)) used.add(source);
  }
  return used;
}

/** Returns a number between 0 and 1, as precise as a time in seconds can be. */
function fractionOf(digest: Digest): number {
  const parts = 2 ** 22;
  return (1 + (Number.parseInt(digestHex(digest).slice(0, 12), 16) % (parts - 1))) / parts;
}

/**
 * Copies files of the context.
 * @returns the copies, and a digest of all of them
 */
async function stageFiles(
  directory: string,
  context: Context,
  paths: ReadonlySet<RawPath>,
  signal: AbortSignal | undefined,
): Promise<{ readonly digest: Digest; readonly files: readonly Buffer[] }> {
  const directories = new Set<RawPath>(['']);
  const files: Buffer[] = [];
  const all = new Digester();
  for (const path of [...paths].toSorted(compareBytes)) {
    signal?.throwIfAborted();
    const node = context.node(path);
    if (node === undefined) continue;
    const target = at(directory, path);
    await makeParents(directory, node.type === 'directory' ? path : parentPath(path), directories);
    const { type, mode, link = '' } = node;
    const state = [type, path, mode, link];
    all.update(Buffer.from(`${JSON.stringify(state)}\n`));
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
    // Hashes the copy, because the file itself may have changed meanwhile.
    const content = new Digester();
    for await (const chunk of createReadStream(target, { signal })) content.update(chunk as Buffer);
    all.update(Buffer.from(`${content.digest()}\n`));
    await utimes(target, SOURCE_DATE_EPOCH, SOURCE_DATE_EPOCH);
    files.push(target);
  }
  for (const path of directories)
    await utimes(at(directory, path), SOURCE_DATE_EPOCH, SOURCE_DATE_EPOCH);
  return { digest: all.digest(), files };
}

async function makeParents(root: string, path: RawPath, made: Set<RawPath>): Promise<void> {
  if (made.has(path)) return;
  await makeParents(root, parentPath(path), made);
  await mkdir(at(root, path));
  // The umask of the caller must not matter.
  await chmod(at(root, path), 0o755);
  made.add(path);
}

/** Returns a path as bytes. */
function at(directory: string, path: RawPath): Buffer {
  return Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(path, 'latin1')]);
}
