import type { Digest } from '@lkt/core';
import { type Statement, statementAbout } from './statement.ts';

/**
 * Predicate type of "I built this source and the result is this image". A name: nothing is fetched
 * from it.
 */
export const REBUILD_PREDICATE = 'https://lkt.dev/attestations/rebuild/v1';

/** The facts of a rebuild. */
export interface Rebuild {
  /** `org/image` in its build.yml. */
  readonly package: string;
  /** Git tree hash of the package's directory. */
  readonly sourceHash: string;
  /** Platforms that were built: `linux/amd64`. */
  readonly platforms: readonly string[];
}

/**
 * Returns the statement that a full rebuild of a package produced the image. It names neither time
 * nor machine.
 */
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
 * Returns why a rebuild statement does not confirm the image's name and tag; undefined if it does.
 * Registry and organisation may differ: they are the pusher's choice.
 */
export function rebuildProblem(
  statement: unknown,
  image: { readonly path: string; readonly tag?: string },
): string | undefined {
  const { package: name, sourceHash } = (statement ?? {}) as Partial<
    Record<keyof Rebuild, unknown>
  >;
  if (typeof sourceHash !== 'string' || !/^[0-9a-f]{40}(?:[0-9a-f]{24})?$/.test(sourceHash))
    return 'the rebuild statement names no source';
  if (typeof name !== 'string') return 'the rebuild statement names no package';
  if (lastPart(name) !== lastPart(image.path))
    return `the rebuild is of package ${name}, but the image is named ${image.path}`;
  if (image.tag === undefined) return 'the image has no tag that names its source';
  if (image.tag !== sourceHash)
    return `the rebuild is of source ${sourceHash}, but the image has the tag ${image.tag}`;
  return undefined;
}

function lastPart(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1);
}
