import type { CopyStep } from './steps.ts';

/** What a COPY reads from: the context, or the file system of a stage or an image. Paths are raw, without leading slash. */
export interface SourceTree {
  /** Does not follow a symlink in the last part or before it. '' is the root. */
  node(path: string): SourceNode | undefined;
  /** Names in a directory, in byte order; empty for anything else. */
  names(path: string): readonly string[];
}

export interface SourceNode {
  readonly type: 'file' | 'directory' | 'symlink' | 'hardlink' | 'char' | 'block' | 'fifo';
  /** Target of a symlink as it is written. */
  readonly link?: string;
}

/** One thing to copy: the node at `source` in the tree becomes `target` in the image. */
export interface CopyEntry {
  readonly source: string;
  readonly target: string;
  readonly type: SourceNode['type'];
}

export interface CopyPlan {
  /** Parents before children; each target once (a later source wins). Directories merge into what is there. */
  readonly entries: readonly CopyEntry[];
  /** Targets of the files that the Dockerfile itself gives. */
  readonly files: readonly { readonly target: string; readonly content: string }[];
  /** Directories to make when they are not there (mode 755, owner as in --chown), parents first. */
  readonly directories: readonly string[];
}

/**
 * Which files a COPY or ADD copies, and where to.
 * @param isDirectory whether a path of the image that is being built is a directory now, symlinks followed.
 * @throws LktError DOCKERFILE_INVALID when a source does not exist.
 */
export type PlanCopy = (
  step: CopyStep,
  tree: SourceTree,
  isDirectory: (path: string) => boolean,
) => CopyPlan;
