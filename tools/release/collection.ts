import { chmodSync, cpSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { spawnSync } from 'node:child_process';
import { dirname, join, relative } from 'node:path';
import { canonicalJson } from '@lkt/core';
import { ENGINE_EPOCH, parseReference } from '@lkt/oci';
import { COLLECTION_FILE, openWorkspace, showTags } from '@lkt/pkg';
import { filePolicy } from '@lkt/image/load-policy';
import { writePackage } from './files.ts';
import { commonFields, type Release, type Staged } from './release.ts';

const NAME = '@lkt/packages';

/** A reference to a package of this repository, with tag and digest. */
const PIN = /\blkt\/[a-z0-9_-]+:[0-9a-f]{40}@sha256:[0-9a-f]{64}\b/g;

/**
 * Stages `@lkt/packages`: the sources of this repository's packages as a collection, without
 * binaries. `collection.json` lists each package with its source hash, and the digest if the
 * repository pins one. `engineEpoch` is that of the digests.
 * @param trust directory with a trust.yml for the images of the collection, and the files it names
 */
export async function stageCollection(
  release: Release,
  trust: string | undefined,
): Promise<Staged> {
  const { root, stage } = release;
  const directory = join(stage, 'collection');
  const workspace = await openWorkspace(root, { env: process.env });
  const dirs = new Set(workspace.catalog.ownDirs);
  const isPackage = (path: string): boolean =>
    /^(?:pkg|kernel)\//.test(path) || dirs.has(join(root, toolOf(path)));
  const files = tracked(root).filter(isPackage);
  for (const path of files) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    cpSync(join(root, path), join(directory, path));
    // Git knows no other modes, and the umask of this checkout must not matter.
    const isProgram = (statSync(join(root, path)).mode & 0o100) !== 0;
    chmodSync(join(directory, path), isProgram ? 0o755 : 0o644);
  }
  const digests = await pinnedDigests(root);
  const items = [...workspace.packages.values()];
  const tags = await showTags(workspace, items);
  const packages: Record<string, { hash: string; digest?: string }> = {};
  for (const [index, { name }] of items.entries()) {
    const { tag: hash = '' } = parseReference(tags[index] ?? name);
    const digest = digests.get(`${name}:${hash}`);
    packages[name] = digest === undefined ? { hash } : { hash, digest };
  }
  writeFileSync(
    join(directory, COLLECTION_FILE),
    `${canonicalJson({ engineEpoch: ENGINE_EPOCH, packages })}\n`,
  );
  const policy = trust === undefined ? [] : await stagePolicy(trust, directory);
  writePackage(release, 'pkg', directory, {
    name: NAME,
    description: 'The system containers, kernels and tools of lkt, as sources to build',
    ...commonFields(release, 'pkg'),
    files: ['pkg', 'kernel', 'tools', COLLECTION_FILE, ...policy],
  });
  const expected = [COLLECTION_FILE, /^(?:pkg|kernel|tools)\/.+$/, ...policy];
  return { name: NAME, directory, files: expected };
}

/**
 * Copies the policy by which users verify the images, and checks it as lkt does.
 * @returns the paths of its files
 */
async function stagePolicy(from: string, directory: string): Promise<readonly string[]> {
  const paths = readdirSync(from, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => relative(from, join(parentPath, name)));
  for (const path of paths) {
    const target = join(directory, path);
    mkdirSync(dirname(target), { recursive: true });
    // A source of the collection stays as it is.
    cpSync(join(from, path), target, { errorOnExist: true, force: false });
    chmodSync(target, 0o644);
  }
  await filePolicy(join(directory, 'trust.yml'), 'trust.yml', undefined, { isConfined: true });
  return paths;
}

/** Returns the directory of a package below `tools`. */
function toolOf(path: string): string {
  return path.split('/').slice(0, 2).join('/');
}

function tracked(root: string): readonly string[] {
  const { status, stdout } = spawnSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error('git ls-files failed');
  return stdout.split('\0').filter((path) => path !== '');
}

/** Returns the digests that Dockerfiles and examples pin, by `name:tag`. */
async function pinnedDigests(root: string): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const path of tracked(root)) {
    if (!/^examples\/.+\.yml$|(?:^|\/)Dockerfile$/.test(path)) continue;
    for (const [pin] of (await readFile(join(root, path), 'utf8')).matchAll(PIN)) {
      const [reference = '', digest = ''] = pin.split('@');
      found.set(reference, digest);
    }
  }
  return found;
}
