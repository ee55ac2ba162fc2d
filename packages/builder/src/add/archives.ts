import { type RawPath, toRaw } from '@lkt/oci';
import type { Context } from '../context/context.ts';
import {
  type AddPart,
  type CopyStep,
  planAdd,
  planCopy,
  type PlanOptions,
  type RemoteFile,
  remoteFile,
} from '@lkt/dockerfile';
import type { StepCache } from '../step-cache.ts';
import { isArchive } from './archive.ts';

interface AddSources {
  readonly context: Context;
  readonly cache: StepCache;
  readonly signal: AbortSignal;
}

/**
 * Returns the parts of an ADD or COPY from the context, with the archives that ADD unpacks. The
 * cache remembers which contents are archives.
 */
export async function addParts(
  step: CopyStep,
  options: PlanOptions,
  sources: AddSources,
): Promise<readonly AddPart[]> {
  const { context } = sources;
  const remote = step.kind === 'add' ? remoteFile(step) : undefined;
  if (remote !== undefined) return [remotePart(step, remote, options)];
  if (step.kind === 'copy' || step.unpack === false || step.parents)
    return [planCopy(step, context, options)];
  const candidates = new Set<RawPath>();
  // The destination does not affect the classification.
  planAdd(step, context, { ...options, isDirectory: () => true }, (source) => {
    candidates.add(source);
    return false;
  });
  const found = new Set<RawPath>();
  for (const source of candidates) if (await isKnownArchive(source, sources)) found.add(source);
  return planAdd(step, context, options, (source) => found.has(source));
}

async function isKnownArchive(
  path: RawPath,
  { context, cache, signal }: AddSources,
): Promise<boolean> {
  const node = context.node(path);
  if (node === undefined || node.size === 0) return false;
  const content = await context.contentDigest(path, signal);
  const key = cache.key({ kind: 'is-archive', content });
  const known = await cache.recall(key);
  if (known !== undefined) return known === 'true';
  const answer = await isArchive(node.source, { signal });
  await cache.store(key, String(answer));
  return answer;
}

function remotePart(
  step: CopyStep,
  { digest, name }: RemoteFile,
  { isDirectory }: PlanOptions,
): AddPart {
  const destination = toRaw(step.destination.slice(1));
  const isInside = destination === '' || step.destinationIsDirectory || isDirectory(destination);
  const target = isInside
    ? `${destination === '' ? '' : `${destination}/`}${toRaw(name)}`
    : destination;
  return { remote: { digest, target, unpacked: step.unpack === true ? destination : undefined } };
}
