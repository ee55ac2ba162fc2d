import type { Collection, CollectionSource } from '@lkt/pkg';
import type { Session } from '../session/session.ts';
import { gitSource } from './git-source.ts';
import { npmSource } from './npm-source.ts';

/** Another version of a collection's source. It is not in the workspace yet. */
export interface NewSource {
  /** Version or commit, as shown to the user. */
  readonly from: string;
  readonly to: string;
  /**
   * Fetches the files, and returns their directory.
   * @param temporary an empty directory
   */
  fetch(temporary: string): Promise<string>;
  /** Files that `apply` writes, absolute. */
  readonly files: readonly string[];
  /** Writes the version into the workspace's files, after `fetch`. */
  apply(): Promise<void>;
  /** Undoes the other effects of `apply`, after the files were restored. */
  undo(): Promise<void>;
}

/** A collection whose source may have other versions. */
export interface Named {
  readonly collection: Collection;
  /** Directory of lkt.yml. */
  readonly root: string;
  /** Version, tag, branch or commit that the user wants; undefined: the newest. */
  readonly to: string | undefined;
}

/**
 * Finds the newest version of a collection's source, or the one that the user wants. Fetches no
 * files.
 * @returns undefined for a directory or a link to one, which have no versions
 * @throws LktError NOT_FOUND, NETWORK_FAILED, TOOL_MISSING, GIT_FAILED
 */
export async function newSource(session: Session, named: Named): Promise<NewSource | undefined> {
  const { source } = named.collection.spec;
  if (source.kind === 'path') return undefined;
  return source.kind === 'git'
    ? gitSource(session, named, source)
    : npmSource(session, named, source.name);
}

/** Returns a source as in lkt.yml, without the commit. */
export function shownSource(source: CollectionSource | undefined): string {
  if (source === undefined) return '';
  if (source.kind === 'git') return `git:${source.url}`;
  return source.kind === 'npm' ? `npm:${source.name}` : `path:${source.path}`;
}
