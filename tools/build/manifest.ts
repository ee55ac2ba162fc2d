import { readFileSync, statSync } from 'node:fs';

/** `dist/manifest.json`: names the build that counts, and the files that it was made from. */
export interface Manifest {
  /** Directory of the build in `dist/`. A hash over the contents of all inputs, so it identifies the program. */
  readonly id: string;
  /** Version and architecture of the Node that made it. */
  readonly node: string;
  /** Paths below the checkout. `package-lock.json` as installed stands for all of `node_modules`. */
  readonly inputs: Readonly<Record<string, Input>>;
}

type Input = readonly [stamp: string, sha256: string];

/** Version and architecture of the Node that runs. */
export const NODE: string = `${process.version} ${process.arch}`;

/**
 * Returns the directory of the build that was made from the files of a checkout as they are now; undefined if there is none.
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

/** A stamp that differs is not enough: git gives a file a new one when it comes back to the branch it was on. */
function isUnchanged(path: string, [stamp, sha256]: Input = ['', '']): boolean {
  const now = stampOf(path);
  return now === stamp || (now !== undefined && hashOf(path) === sha256);
}

/**
 * Changes with every change of a file: a write, or another file in its place, sets its ctime, which no program can choose.
 * undefined if there is no such file.
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
