import type { Collection } from '@lkt/pkg';
import type { Session } from '../session/session.ts';
import { gitSource } from './git-source.ts';
import { npmSource } from './npm-source.ts';

/** Another version of a collection's source. It is not in the workspace yet. */
export interface NewSource {
  /** Version or commit, as shown to the user. */
  readonly from: string;
  readonly to: string;
  /** Directory with the files; undefined if the version is the same. */
  readonly dir: string | undefined;
  /** Files that `apply` writes, absolute. */
  readonly files: readonly string[];
  /** Writes the version into the workspace's files. */
  apply(): Promise<void>;
  /** Makes the rest as it was, after the files have their earlier texts. */
  undo(): Promise<void>;
}

/** A collection whose source may have other versions. */
export interface Named {
  readonly collection: Collection;
  /** Directory of lkt.yml. */
  readonly root: string;
  /** Version, tag, branch or commit that the user wants; undefined: the newest. */
  readonly to: string | undefined;
  /** An empty directory for files of the new version. */
  readonly temporary: string;
}

/**
 * Finds the newest version of a collection's source, or the one that the user wants.
 * @returns undefined for a directory, which has no versions
 * @throws LktError NOT_FOUND, NETWORK_FAILED, TOOL_MISSING, GIT_FAILED
 */
export async function newSource(session: Session, named: Named): Promise<NewSource | undefined> {
  const { source } = named.collection.spec;
  if (source.kind === 'path') return undefined;
  return source.kind === 'git'
    ? gitSource(session, named, source)
    : npmSource(session, named, source.name);
}
