import { chmodSync, cpSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { canonicalJson } from '@lkt/core';
import { parseReference } from '@lkt/oci';
import { COLLECTION_FILE, openWorkspace, showTags } from '@lkt/pkg';
import { writePackage } from './files.ts';
import { commonFields, type Release, type Staged } from './release.ts';

const NAME = '@lkt/packages';

/** A reference to a package of this repository, with tag and digest. */
const PIN = /\blkt\/[a-z0-9_-]+:[0-9a-f]{40}@sha256:[0-9a-f]{64}\b/g;

/**
 * Stages `@lkt/packages`: the sources of this repository's packages as a collection, without
 * binaries. `collection.json` lists each package with its source hash, and the digest that the
 * repository pins for it.
 */
export async function stageCollection(release: Release): Promise<Staged> {
  const { root, stage } = release;
  const directory = join(stage, 'collection');
  const workspace = await openWorkspace(root, { env: process.env });
  const isPackage = (path: string): boolean =>
    /^(?:pkg|kernel)\//.test(path) || workspace.byDir.has(join(root, toolOf(path)));
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
  const packages: Record<string, { hash: string; digest: string }> = {};
  for (const [index, { name }] of items.entries()) {
    const { tag: hash = '' } = parseReference(tags[index] ?? name);
    const digest = digests.get(`${name}:${hash}`);
    if (digest !== undefined) packages[name] = { hash, digest };
  }
  writeFileSync(join(directory, COLLECTION_FILE), `${canonicalJson({ packages })}\n`);
  writePackage(release, 'pkg', directory, {
    name: NAME,
    description: 'The system containers, kernels and tools of lkt, as sources to build',
    ...commonFields(release, 'pkg'),
    files: ['pkg', 'kernel', 'tools', COLLECTION_FILE],
  });
  return { name: NAME, directory, files: [COLLECTION_FILE, /^(?:pkg|kernel|tools)\/.+$/] };
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
