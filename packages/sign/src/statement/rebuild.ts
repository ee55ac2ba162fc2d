import type { Digest } from '@lkt/core';
import { type Statement, statementAbout } from './statement.ts';

/** "I built this source and got this image." A name; nothing is fetched from it. */
export const REBUILD_PREDICATE = 'https://lkt.dev/attestations/rebuild/v1';

/** What was built. */
export interface Rebuild {
  /** `org/image` in its build.yml. */
  readonly package: string;
  /** The git tree hash of its directory. */
  readonly sourceHash: string;
  /** The platforms that were built: `linux/amd64`. */
  readonly platforms: readonly string[];
}

/** That building a package anew, every step of it, gave the image. The statement holds nothing of time or machine. */
export function rebuildStatement(
  subject: { readonly name: string; readonly digest: Digest },
  { package: name, sourceHash, platforms }: Rebuild,
): Statement {
  return statementAbout(subject, REBUILD_PREDICATE, {
    package: name,
    sourceHash,
    platforms: platforms.toSorted(),
  });
}

/**
 * Why a statement does not say that an image is what its name and tag say; undefined if it does. Where the image is, and of
 * which organisation, is left to whoever pushes it.
 */
export function rebuildProblem(
  statement: unknown,
  image: { readonly path: string; readonly tag?: string },
): string | undefined {
  const { package: name, sourceHash } = (statement ?? {}) as Partial<
    Record<keyof Rebuild, unknown>
  >;
  if (typeof sourceHash !== 'string' || !/^[0-9a-f]{40}(?:[0-9a-f]{24})?$/.test(sourceHash))
    return 'the statement of a rebuild names no source';
  if (typeof name !== 'string') return 'the statement of a rebuild names no package';
  if (lastPart(name) !== lastPart(image.path))
    return `what was rebuilt is the package ${name}, and the image is named ${image.path}`;
  if (image.tag === undefined) return 'the image has no tag, which would name its source';
  if (image.tag !== sourceHash)
    return `what was rebuilt is the source ${sourceHash}, and the image is named ${image.tag}`;
  return undefined;
}

function lastPart(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1);
}
