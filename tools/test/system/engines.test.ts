import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Digest, isDigest } from '@lkt/core';
import { fromRaw, loadImage, openStore, type Store } from '@lkt/oci';
import { expect, test } from 'vitest';
import { diffLayers } from '../../../packages/build/src/check/layer-diff.ts';
import { startDockerd } from '../../../packages/build/test/buildkit/dockerd.ts';
import { packagesWith } from './kernels.ts';
import { lkt, root } from './lkt.ts';
import { proven } from './proof.ts';

const PACKAGES = packagesWith('Dockerfile');

interface Comparison {
  readonly package: string;
  readonly native: string;
  /** The digest, or why there is none. */
  readonly buildkit: string;
  /** For each layer that differs, the files in it that do. */
  readonly differences: readonly string[];
}

// The Dockerfiles that hold a layer of every kind are built by both in packages/build/test/buildkit.
test('BuildKit and the native engine make the same image of every package', async () => {
  const compared = JSON.parse(await proven('engines', compareAll)) as Comparison[];
  expect(compared.map((one) => one.package)).toEqual(PACKAGES);
  expect(PACKAGES.length).toBeGreaterThan(10);
}, 2_400_000);

async function compareAll(): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'lkt-engines-'));
  try {
    const native = await digests(PACKAGES, [], {});
    const cache = join(directory, 'cache');
    copyStore(await storeInForce(), cache);
    await using dockerd = await startDockerd(join(directory, 'docker'));
    // One by one, so that the first that differs does not hide the others.
    const options = ['--force', '--no-cache', '--builder', 'buildx:default'];
    const compared: Comparison[] = [];
    const store = await openStore(cache);
    for (const name of PACKAGES) {
      const ours = native.get(name) ?? 'not built';
      const env = { ...dockerd.environment, LKT_CACHE: cache };
      const theirs = await digests([name], options, env)
        .then((found) => found.get(name) ?? 'not built')
        .catch((error: unknown) => String(error));
      const differences =
        isDigest(ours) && isDigest(theirs) && ours !== theirs
          ? await differencesOf(store, ours, theirs)
          : [];
      compared.push({ package: name, native: ours, buildkit: theirs, differences });
    }
    expect(compared.filter((one) => one.buildkit !== one.native)).toEqual([]);
    return JSON.stringify(compared);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Builds packages; the digests of their indexes by directory. */
async function digests(
  directories: readonly string[],
  options: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<ReadonlyMap<string, string>> {
  const built = await lkt(['pkg', 'build', '--json', ...options, ...directories], { env });
  if (built.status !== 0) throw new Error(`${built.stdout}\n${built.stderr}`.slice(-4000));
  const { packages } = JSON.parse(built.stdout) as {
    readonly packages: readonly { readonly name: string; readonly digest: string }[];
  };
  const byName = new Map(packages.map(({ name, digest }) => [name.split('/').at(-1), digest]));
  return new Map(directories.map((name) => [name, byName.get(imageName(name)) ?? '']));
}

function imageName(directory: string): string {
  const text = execFileSync('grep', ['-m1', '^image:', join(root, directory, 'build.yml')]);
  return text
    .toString()
    .replace(/^image:\s*/, '')
    .trim();
}

async function storeInForce(): Promise<string> {
  const { settings } = JSON.parse((await lkt(['env', '--json'])).stdout) as {
    readonly settings: readonly { readonly name: string; readonly value: string }[];
  };
  return settings.find(({ name }) => name === 'LKT_CACHE')?.value ?? '';
}

/** What the packages are built on, with nothing that says how steps were done. */
function copyStore(from: string, to: string): void {
  mkdirSync(to);
  for (const name of ['oci-layout', 'index.json', 'results', 'blobs'])
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
