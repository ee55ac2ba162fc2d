import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';

/** `dist/manifest.json`: the current build and the files that it was made from. */
export interface Manifest {
  /** Directory of the build in `dist/`: a hash over the contents of all inputs. */
  readonly id: string;
  /** Version and architecture of the Node that made it. */
  readonly node: string;
  /** By path in the checkout. The installed `package-lock.json` stands for `node_modules`. */
  readonly inputs: Readonly<Record<string, Input>>;
}

/** A stamp and the SHA-256 of a file. The stamp is of the moment before the file was read. */
type Input = readonly [inode: number, size: number, ctimeMs: number, sha256: string];

/** Version and architecture of the Node that runs. */
export const NODE: string = `${process.version} ${process.arch}`;

/** The clock of file systems advances in steps of up to 10 ms: a later change has a later ctime. */
export const CLOCK_STEP_MS = 100;

/**
 * Returns the directory of the build of a checkout; undefined without a build, or if a file
 * that it was made from has changed.
 */
export function currentBuild(root: string): string | undefined {
  const start = Date.now();
  try {
    const manifest = readManifest(root);
    const { id, node, inputs } = manifest;
    if (node !== NODE) return undefined;
    const rewritten: [path: string, input: Input][] = [];
    for (const path in inputs) {
      const known = inputs[path];
      const now = inputAt(`${root}/${path}`, known);
      if (now === undefined || now[3] !== known?.[3]) return undefined;
      if (now !== known) rewritten.push([path, now]);
    }
    const isSettled = rewritten.every(([, [, , ctimeMs]]) => ctimeMs < start - CLOCK_STEP_MS);
    if (rewritten.length > 0 && isSettled) renewStamps(root, manifest, rewritten);
    return `${root}/dist/${id}`;
  } catch {
    // There is no build, or it is damaged.
    return undefined;
  }
}

/** @throws Error if there is no build, SyntaxError if its manifest is damaged */
export function readManifest(root: string): Manifest {
  return JSON.parse(readFileSync(manifestPath(root), 'utf8')) as Manifest;
}

const manifestPath = (root: string): string => `${root}/dist/manifest.json`;

/**
 * Describes a file; undefined if it is missing. Returns `known` if that has the file's stamp, which
 * changes with every change: a write or a rename sets the ctime, to a time that no program can
 * choose.
 */
export function inputAt(path: string, known?: Input): Input | undefined {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  const { ino, size, ctimeMs } = stats;
  if (known?.[0] === ino && known[1] === size && known[2] === ctimeMs) return known;
  return [ino, size, ctimeMs, hashOf(path)];
}

export function hashOf(path: string): string {
  // Loaded where a stamp differs; most commands do without.
  const { hash } = process.getBuiltinModule('node:crypto');
  return hash('sha256', readFileSync(path), 'hex');
}

/**
 * Writes down the stamps of files that were written anew with the same contents, as git does when a
 * branch comes back: otherwise every command would read them.
 */
function renewStamps(
  root: string,
  manifest: Manifest,
  rewritten: readonly (readonly [path: string, input: Input])[],
): void {
  const path = `${manifestPath(root)}.${process.pid}`;
  try {
    const inputs = { ...manifest.inputs, ...Object.fromEntries(rewritten) };
    writeFileSync(path, `${JSON.stringify({ ...manifest, inputs })}\n`);
    // Another build may have been made meanwhile.
    if (readManifest(root).id === manifest.id) renameSync(path, manifestPath(root));
    else rmSync(path);
  } catch {
    // The checkout is read-only.
  }
}
