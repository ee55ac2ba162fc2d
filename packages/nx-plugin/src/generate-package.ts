import { join } from 'node:path';
import type { Tree } from '@nx/devkit';
import { openWorkspace } from '@lkt/pkg';
import { rethrowPlain, PlainError } from './plain-error.ts';

/** Options of the package generator (schemas/package.json). */
export interface PackageOptions {
  readonly name: string;
  readonly directory?: string;
  readonly org?: string;
  readonly from?: string;
  readonly debian?: readonly string[];
}

/** Generates a package that builds without changes (`nx g @lkt/nx-plugin:package NAME`). */
export async function generatePackage(tree: Tree, options: PackageOptions): Promise<void> {
  const { name, directory = 'pkg', from = 'scratch', debian = [] } = options;
  if (!/^[a-z0-9]+(?:[._-][a-z0-9]+)*$/.test(name))
    throw new PlainError(`"${name}" is not an image name: use a-z, 0-9, and . _ - between them`);
  if (debian.length > 0 && options.from !== undefined)
    throw new PlainError(
      'a package of Debian packages has no base image: pass either --debian or --from',
    );
  const dir = join(directory, name);
  if (tree.exists(join(dir, 'build.yml'))) throw new PlainError(`${dir} is a package already`);
  const org = options.org ?? (await mostCommonOrg(tree.root));
  const head = `org: ${org}\nimage: ${name}\n`;
  if (debian.length > 0) {
    // One architecture, because a lock has one; each further one needs a lock of its own.
    const list = debian.map((item) => `    - ${item}\n`).join('');
    tree.write(
      join(dir, 'build.yml'),
      `${head}arches: [amd64]\n\ndebian:\n  suite: trixie\n  packages:\n${list}`,
    );
    return;
  }
  tree.write(join(dir, 'build.yml'), head);
  tree.write(join(dir, 'Dockerfile'), `FROM ${from}\nCOPY root/ /\n`);
  tree.write(join(dir, 'root/etc', name), `This is ${name}.\n`);
}

/** Returns the organization of lkt.yml, else the most common one of the workspace's packages. */
async function mostCommonOrg(root: string): Promise<string> {
  const workspace = await openWorkspace(root, { env: process.env }).catch(rethrowPlain);
  if (workspace.spec?.org !== undefined) return workspace.spec.org;
  const counts = new Map<string, number>();
  const own = [...workspace.packages.values()].filter(({ collection }) => collection === undefined);
  for (const { org } of own) counts.set(org, (counts.get(org) ?? 0) + 1);
  const [most] = [...counts].toSorted(([, a], [, b]) => b - a);
  return most?.[0] ?? 'lkt';
}
