import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Digest, isDigest } from '@lkt/core';
import { fromRaw, loadImage, openStore, type Store } from '@lkt/oci';
import { peerVersions } from '@lkt/testing/remembered';
import { expect, test } from 'vitest';
import { diffLayers } from '../../../packages/rebuild/src/layer-diff.ts';
import { startDockerd } from '../../../packages/buildkit/test/dockerd.ts';
import { packagesWith } from './helpers/kernels.ts';
import { lkt } from './helpers/lkt.ts';
import { type Package, provenEach } from './helpers/proof.ts';

const PACKAGES = packagesWith('Dockerfile').filter((directory) => directory.startsWith('pkg/'));

/** Packages that one run compares. */
const MAX_COMPARED = 8;

interface Comparison {
  readonly native: string;
  /** The digest, or the reason for its absence. */
  readonly buildkit: string;
  /** The files that differ, per layer. */
  readonly differences: readonly string[];
}

// packages/buildkit/test builds a layer of every kind with both. The tool packages, mostly Go's
// standard library, would take BuildKit minutes more. BuildKit does not depend on the native
// engine: while that makes the same image, the comparison holds. With nothing remembered, all would
// take BuildKit minutes, so one run compares a few.
test('BuildKit and the native engine make the same image of every package of a system', async () => {
  const native = await digests(PACKAGES, [], {});
  const peers = peerVersions();
  const inputs = new Map([...native].map(([name, digest]) => [name, `${peers} ${digest}`]));
  const proofs = await provenEach(
    'engines',
    PACKAGES,
    async (packages, isProven) => compare(packages, native, isProven),
    { code: [':(glob)packages/buildkit/src/**'], inputs, most: MAX_COMPARED },
  );
  expect(proofs.size).toBeGreaterThanOrEqual(MAX_COMPARED);
  expect(PACKAGES.length).toBeGreaterThan(10);
}, 2_400_000);

async function compare(
  packages: readonly Package[],
  native: ReadonlyMap<string, string>,
  isProven: (directory: string, result: string) => void,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'lkt-engines-'));
  try {
    const cache = join(directory, 'cache');
    copyStore(await storeInForce(), cache);
    await using dockerd = await startDockerd(join(directory, 'docker'));
    // One build per package, so that one difference does not hide others.
    const options = ['--force', '--no-cache', '--builder', 'buildx:default'];
    const different: Comparison[] = [];
    const store = await openStore(cache);
    for (const one of packages) {
      const ours = native.get(one.name) ?? 'not built';
      const env = { ...dockerd.environment, LKT_CACHE: cache };
      const theirs = await digests([one.directory], options, env)
        .then((found) => found.get(one.name) ?? 'not built by BuildKit')
        .catch((error: unknown) => String(error));
      const areImages = isDigest(ours) && isDigest(theirs);
      if (ours === theirs) isProven(one.directory, ours);
      else
        different.push({
          native: ours,
          buildkit: theirs,
          differences: areImages ? await differencesOf(store, ours, theirs) : [],
        });
    }
    expect(different).toEqual([]);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Builds packages. Returns their index digests by image name. */
async function digests(
  directories: readonly string[],
  options: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<ReadonlyMap<string, string>> {
  const done = await lkt(['pkg', 'build', '--json', ...options, ...directories], { env });
  if (done.status !== 0) throw new Error(`${done.stdout}\n${done.stderr}`.slice(-4000));
  const built = JSON.parse(done.stdout) as {
    readonly packages: readonly { readonly name: string; readonly digest: string }[];
  };
  return new Map(built.packages.map(({ name, digest }) => [name, digest]));
}

async function storeInForce(): Promise<string> {
  const { settings } = JSON.parse((await lkt(['env', '--json'])).stdout) as {
    readonly settings: readonly { readonly name: string; readonly value: string }[];
  };
  return settings.find(({ name }) => name === 'LKT_CACHE')?.value ?? '';
}

/** Copies the base images and their index entries, without step records. */
function copyStore(from: string, to: string): void {
  mkdirSync(to);
  for (const name of ['oci-layout', 'index.json', 'results', 'attestations', 'blobs'])
    cpSync(join(from, name), join(to, name), { recursive: true });
}

async function differencesOf(store: Store, ours: Digest, theirs: Digest): Promise<string[]> {
  const platform = { os: 'linux', architecture: 'amd64' };
  const a = await loadImage(store, ours, platform);
  const b = await loadImage(store, theirs, platform);
  const lines: string[] = [];
  const count = Math.max(a.manifest.layers.length, b.manifest.layers.length);
  for (let index = 0; index < count; index += 1) {
    const [one, other] = [a.manifest.layers[index], b.manifest.layers[index]];
    if (one === undefined || other === undefined) {
      lines.push(`layer ${index}: only one has it`);
    } else if (one.digest !== other.digest) {
      const { entries } = await diffLayers(store, one, other);
      lines.push(...entries.map(({ path }) => `layer ${index}: ${fromRaw(path)}`));
    }
  }
  return lines.length === 0 ? ['the config'] : lines;
}
