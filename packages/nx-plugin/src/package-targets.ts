import type { TargetConfiguration } from '@nx/devkit';
import { canonicalJson, digestHex, digestOf } from '@lkt/core';
import { ENGINE_EPOCH, parsePlatform } from '@lkt/oci';
import { supportsPlatforms, layoutName, type PackageNode } from '@lkt/pkg';
import { buildWords, runTarget, ymlWords } from './command.ts';
import type { ModelPackage } from './model.ts';
import type { Settings } from './options.ts';
import { pathIn } from './path-in.ts';

export type Targets = Record<string, TargetConfiguration>;

/** No package of npm is an input. */
export const NOTHING_ELSE: readonly { externalDependencies: string[] }[] = [
  { externalDependencies: [] },
];
/** What the packages below have given: the index of a layout has the digests of all that is in it. */
export const PACKAGES = { dependentTasksOutputFiles: '**/index.json' };

/** The targets of a package. `root`: of the workspace; without symlinks. */
export function packageTargets(
  { node, dir }: ModelPackage,
  root: string,
  settings: Settings,
): Targets {
  const { lkt, layouts, platforms } = settings;
  const named = ymlWords(settings);
  const inputs = inputsOf(node, root);
  const env = { LKT_SOURCE: sourceKey(node) };
  const verify: TargetConfiguration = {
    ...runTarget(lkt, ['verify', ...named, dir]),
    cache: false,
    metadata: { description: 'Check who has signed the package' },
  };
  if (
    !supportsPlatforms(node.item, platforms.length === 0 ? undefined : platforms.map(parsePlatform))
  )
    return { verify };
  return {
    'pkg-build': {
      ...runTarget(lkt, [...buildWords(settings), dir], env),
      cache: true,
      inputs,
      outputs: [`{workspaceRoot}/${layouts}/${layoutName(node.item)}`],
      dependsOn: ['^pkg-build'],
      metadata: { description: 'Build the package' },
    },
    'pkg-check': {
      ...runTarget(lkt, [...buildWords(settings), '--check', dir], env),
      cache: true,
      inputs,
      outputs: [],
      dependsOn: ['pkg-build'],
      metadata: { description: 'Prove that the package is reproducible' },
    },
    'pkg-push': {
      ...runTarget(lkt, ['pkg', 'push', ...named, dir]),
      cache: false,
      dependsOn: ['pkg-build'],
      metadata: { description: 'Push the package to its registry' },
    },
    'pkg-sign': {
      ...runTarget(lkt, ['pkg', 'sign', ...named, dir]),
      cache: false,
      dependsOn: ['pkg-build'],
      metadata: { description: 'Sign the package' },
    },
    verify,
  };
}

/** The files that the source hash covers, and what the packages below have given. */
function inputsOf(
  { directories }: PackageNode,
  root: string,
): NonNullable<TargetConfiguration['inputs']> {
  const globs = directories.flatMap((dir) => {
    const path = pathIn(root, dir);
    if (path === undefined) return [];
    // Not {projectRoot}: a project inside of it is a part of its source hash, too.
    return [path === '.' ? '{workspaceRoot}/**/*' : `{workspaceRoot}/${path}/**/*`];
  });
  return [...new Set(globs), ...NOTHING_ELSE, PACKAGES];
}

/**
 * What a package is built from, in one text: the hash of its sources, which sees what contents of files do not show, such
 * as modes and links; the hashes of other packages that are written into it; the engine. It is a part of the configuration
 * of a target, and so of the hash of its tasks.
 */
function sourceKey({ item, hash, uses }: PackageNode): string {
  const others = uses.flatMap((use) =>
    use.hash === undefined ? [] : [[use.package.name, use.hash]],
  );
  const parts = { epoch: ENGINE_EPOCH, name: item.name, source: hash.committed ?? '', others };
  return digestHex(digestOf(canonicalJson(parts)));
}
