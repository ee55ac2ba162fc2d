import { readFileSync, statSync } from 'node:fs';

/** `dist/manifest.json`: the current build and the files that it was made from. */
export interface Manifest {
  /** Directory of the build in `dist/`: a hash over the contents of all inputs. */
  readonly id: string;
  /** Version and architecture of the Node that made it. */
  readonly node: string;
  /** By path in the checkout. The installed `package-lock.json` stands for `node_modules`. */
  readonly inputs: Readonly<Record<string, Input>>;
}

type Input = readonly [stamp: string, sha256: string];

/** Version and architecture of the Node that runs. */
export const NODE: string = `${process.version} ${process.arch}`;

/**
 * Returns the directory of the build of a checkout; undefined without a build, or if a file
 * that it was made from has changed.
 */
export function currentBuild(root: string): string | undefined {
  try {
    const { id, node, inputs } = readManifest(root);
    if (node !== NODE) return undefined;
    for (const path in inputs) if (!isUnchanged(`${root}/${path}`, inputs[path])) return undefined;
    return `${root}/dist/${id}`;
  } catch {
    // There is no build, or it is damaged.
    return undefined;
  }
}

/** @throws Error if there is no build, SyntaxError if its manifest is damaged */
export function readManifest(root: string): Manifest {
  return JSON.parse(readFileSync(`${root}/dist/manifest.json`, 'utf8')) as Manifest;
}

/** Compares contents if the stamp differs: git writes a file anew when a branch comes back. */
function isUnchanged(path: string, [stamp, sha256]: Input = ['', '']): boolean {
  const now = stampOf(path);
  return now === stamp || (now !== undefined && hashOf(path) === sha256);
}

/**
 * Returns a text that changes with every change of a file; undefined if there is no file. A write
 * or a rename sets the ctime, to a time that no program can choose.
 */
export function stampOf(path: string): string | undefined {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats === undefined ? undefined : `${stats.ino} ${stats.size} ${stats.ctimeMs}`;
}

export function hashOf(path: string): string {
  // Loaded where a stamp differs; most commands do without.
  const { hash } = process.getBuiltinModule('node:crypto');
  return hash('sha256', readFileSync(path), 'hex');
}
