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

/** Names below the directory of a build. Relative, so that no path of the user's has to be quoted for a program. */
export const DOCKERFILE_DIR = 'dockerfile';
export const LAYOUT = 'images';
export const RESULT = 'result';

/**
 * Puts what BuildKit reads beside the Dockerfile into a directory: the images it names, and of the context what a step
 * uses, with the modes and times every checkout has.
 *
 * BuildKit keeps the files of a context for the next one of the same name, and takes a file of the same size and time
 * for the same file. So the name says what is in it. To buildctl all contexts have one name: then the time does, in what
 * layers have not, the part below a second.
 * @returns the name of the directory with the context
 * @throws LktError DOCKERFILE_INVALID (a COPY of nothing), UNSUPPORTED (a device in the context), IO_FAILED
 */
export async function stageInputs(
  directory: string,
  planned: RequestPlan,
  request: BuildRequest,
  {
    store,
    signal,
    program,
  }: BuildContext & {
    readonly program: Builder['program'];
  },
): Promise<string> {
  for (const name of ['context', DOCKERFILE_DIR, LAYOUT]) await mkdir(join(directory, name));
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
  // What is ignored has been left out; this file goes before a .dockerignore that is in the context.
  await writeFile(join(directory, DOCKERFILE_DIR, 'Dockerfile.dockerignore'), '# nothing\n');
  // The blobs of the store in a layout of their own: programs make files beside them.
  const layout = join(directory, LAYOUT);
  await writeFile(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}\n');
  await writeFile(join(layout, 'index.json'), '{"schemaVersion":2,"manifests":[]}\n');
  await symlink(join(await realpath(store.dir), 'blobs'), join(layout, 'blobs'));
  return name;
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
              .map((mount) => mountPlan(context, mount, request.dockerfile))
          : step.from.kind === 'context'
            ? [planCopy(step, context, options)]
            : [];
    for (const { source } of plans.flatMap(({ entries }) => entries)) used.add(source);
  }
  return used;
}

/** Below 1 and above 0, as fine as a number of seconds can be. */
function fractionOf(digest: Digest): number {
  const parts = 2 ** 22;
  return (1 + (Number.parseInt(digestHex(digest).slice(0, 12), 16) % (parts - 1))) / parts;
}

/** @returns the files, and a digest of all that is there then */
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
    // Of the copy: the file itself may be another one by now.
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
  // Not what the umask of the caller leaves of it.
  await chmod(at(root, path), 0o755);
  made.add(path);
}

/** Names are bytes. */
function at(directory: string, path: RawPath): Buffer {
  return Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(path, 'latin1')]);
}
