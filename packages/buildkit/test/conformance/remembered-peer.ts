import { createHash, type Hash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
} from 'node:fs';
import { join } from 'node:path';
import { type Digest, parseDigest } from '@lkt/core';
import { openStore } from '@lkt/oci';
import { hashOf, proofs, remember, remembered } from '@lkt/testing/remembered';
import { builtImage } from './built-image.ts';
import type { Outcome, Peer } from './peers.ts';
import type { ConformanceCase } from './suite.ts';

/** Code that decides how the other builders are called. */
const CODE = ['peers.ts', 'stand-ins.ts', '../dockerd.ts'];

/** Result of another builder for a case, now or in a former run. */
export interface PeerResult {
  readonly outcome: Outcome;
  /** Stores the result for later runs. Called when it is as the test expects. */
  readonly keep: () => Promise<void>;
}

interface Stored {
  readonly error?: string;
  readonly digest?: string;
  readonly hasTimes?: boolean;
}

/**
 * Returns a function that runs another builder, or loads the image that it made of the same case:
 * lkt's own code has no part in that.
 *
 * @param versions of the builder and the programs that it runs
 * @param images that the Dockerfile may name
 */
export function rememberedPeer(
  name: string,
  peer: Peer,
  versions: string,
  images: ReadonlyMap<string, Digest> = new Map(),
): (test: ConformanceCase, directory: string) => Promise<PeerResult> {
  const code = hashOf(import.meta.dirname, CODE);
  const layout = join(proofs(), 'images');
  return async (test, directory) => {
    const hash = createHash('sha256').update(
      JSON.stringify([code, versions, [...images], test.dockerfile, test.buildArgs]),
    );
    addTree(hash, test.context, '');
    const key = `peer-${name}-${hash.digest('hex').slice(0, 32)}`;
    const known = JSON.parse(remembered(key) ?? '{}') as Stored;
    if (known.error !== undefined) return { outcome: { error: known.error }, keep: nothing };
    const { digest, hasTimes = true } = known;
    if (digest !== undefined && hasBlobs(layout, digest))
      return {
        outcome: { image: { ...(await builtImage(layout, digest)), hasTimes } },
        keep: nothing,
      };
    const outcome = await peer(test, directory);
    return {
      outcome,
      keep: async () => {
        const stored: Stored =
          'error' in outcome
            ? outcome
            : {
                digest: await copyImage(join(directory, 'result'), layout),
                hasTimes: outcome.image.hasTimes,
              };
        remember(key, JSON.stringify(stored));
      },
    };
  };
}

const nothing = async (): Promise<void> => Promise.resolve();

/** Adds the files of a directory to a hash, by path, mode and content. */
function addTree(hash: Hash, directory: string, path: string): void {
  for (const name of readdirSync(join(directory, path)).toSorted()) {
    const at = join(path, name);
    const stats = lstatSync(join(directory, at));
    hash.update(`${JSON.stringify([at, stats.mode])}\n`);
    if (stats.isDirectory()) addTree(hash, directory, at);
    else if (stats.isSymbolicLink()) hash.update(`${readlinkSync(join(directory, at))}\n`);
    else if (stats.isFile())
      hash.update(`${stats.size}\n`).update(readFileSync(join(directory, at)));
  }
}

/** Copies the image of an OCI layout into another one, and returns its digest. */
async function copyImage(from: string, to: string): Promise<string> {
  await openStore(to);
  mkdirSync(join(to, 'blobs/sha256'), { recursive: true });
  const index = JSON.parse(readFileSync(join(from, 'index.json'), 'utf8')) as {
    readonly manifests: readonly { readonly digest: string }[];
  };
  for (const name of readdirSync(join(from, 'blobs/sha256'))) {
    const target = join(to, 'blobs/sha256', name);
    if (existsSync(target)) continue;
    // Another run may copy the same file.
    const part = `${target}.${process.pid}`;
    copyFileSync(join(from, 'blobs/sha256', name), part);
    renameSync(part, target);
  }
  return parseDigest(index.manifests[0]?.digest ?? '');
}

function hasBlobs(layout: string, digest: string): boolean {
  const path = (one: string): string => join(layout, 'blobs', one.replace(':', '/'));
  if (!existsSync(path(digest))) return false;
  const { config, layers } = JSON.parse(readFileSync(path(digest), 'utf8')) as {
    readonly config?: { readonly digest: string };
    readonly layers?: readonly { readonly digest: string }[];
  };
  return (
    config !== undefined && [config, ...(layers ?? [])].every((one) => existsSync(path(one.digest)))
  );
}
