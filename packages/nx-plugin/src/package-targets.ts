import type { TargetConfiguration } from '@nx/devkit';
import { canonicalJson, digestHex, digestOf } from '@lkt/core';
import { ENGINE_EPOCH, parsePlatform } from '@lkt/oci';
import { supportsPlatforms, layoutName, type PackageNode } from '@lkt/pkg';
import { buildArguments, runTarget, buildYmlArguments } from './command.ts';
import type { ModelPackage } from './workspace-model.ts';
import type { Settings } from './options.ts';
import { workspacePath } from './workspace-path.ts';

/** Targets by name. */
export type Targets = Record<string, TargetConfiguration>;

/** No npm package is an input. */
export const NO_NPM_PACKAGES: readonly { externalDependencies: string[] }[] = [
  { externalDependencies: [] },
];
/** Outputs of the dependencies: the index of a layout has the digests of its contents. */
export const DEPENDENCY_OUTPUTS = { dependentTasksOutputFiles: '**/index.json' };

/**
 * Returns the targets of a package.
 * @param root path of the workspace, without symlinks
 */
export function packageTargets(
  { node, dir }: ModelPackage,
  root: string,
  settings: Settings,
): Targets {
  const { lkt, layouts, platforms } = settings;
  const named = buildYmlArguments(settings);
  const inputs = inputsOf(node, root);
  const env = { LKT_SOURCE: sourceKey(node) };
  const verify = runTarget('Verify the signatures of the package', lkt, ['verify', ...named, dir]);
  const wanted = platforms.length === 0 ? undefined : platforms.map(parsePlatform);
  if (!supportsPlatforms(node.item, wanted)) return { verify };
  const build = buildArguments(settings);
  const dependsOn = ['pkg-build'];
  return {
    'pkg-build': runTarget('Build the package', lkt, [...build, dir], {
      cache: true,
      inputs,
      env,
      outputs: [`{workspaceRoot}/${layouts}/${layoutName(node.item)}`],
      dependsOn: ['^pkg-build'],
    }),
    'pkg-check': runTarget(
      'Check that the package is reproducible',
      lkt,
      [...build, '--check', dir],
      { cache: true, inputs, env, outputs: [], dependsOn },
    ),
    'pkg-push': runTarget('Push the package to its registry', lkt, ['pkg', 'push', ...named, dir], {
      dependsOn,
    }),
    pin: pinTarget('Pin the images in the Dockerfile', settings, dir, [
      { target: 'pin', dependencies: true, params: 'forward' },
    ]),
    'pkg-sign': runTarget('Sign the package', lkt, ['pkg', 'sign', ...named, dir], { dependsOn }),
    verify,
  };
}

/**
 * Returns a target that pins what a package or an image config names. It writes the files of
 * dependencies too, so no other task may run at the same time.
 */
export function pinTarget(
  description: string,
  settings: Settings,
  path: string,
  dependsOn: NonNullable<TargetConfiguration['dependsOn']> = [],
): TargetConfiguration {
  const args = ['pin', ...buildYmlArguments(settings), path];
  return runTarget(description, settings.lkt, args, { parallelism: false, dependsOn });
}

/** Returns the files that the source hash covers, and the outputs of dependencies. */
function inputsOf(
  { directories }: PackageNode,
  root: string,
): NonNullable<TargetConfiguration['inputs']> {
  const globs = directories.flatMap((dir) => {
    const path = workspacePath(root, dir);
    if (path === undefined) return [];
    // Not {projectRoot}, which excludes nested projects: they are part of the source hash.
    return [path === '.' ? '{workspaceRoot}/**/*' : `{workspaceRoot}/${path}/**/*`];
  });
  return [...new Set(globs), ...NO_NPM_PACKAGES, DEPENDENCY_OUTPUTS];
}

/**
 * Returns a hash of the inputs of a package build: its source hash, which covers modes and links as
 * well; the hashes of packages that are written into it; the engine epoch. As part of the target's
 * configuration it is part of the task hash.
 */
function sourceKey({ item, hash, uses }: PackageNode): string {
  const others = uses.flatMap((use) =>
    use.hash === undefined ? [] : [[use.package.name, use.hash]],
  );
  const parts = { epoch: ENGINE_EPOCH, name: item.name, source: hash.committed ?? '', others };
  return digestHex(digestOf(canonicalJson(parts)));
}
