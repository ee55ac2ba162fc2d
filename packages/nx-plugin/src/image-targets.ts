import { isAbsolute, join } from 'node:path';
import { runTarget } from './command.ts';
import { type ModelImage, pathIn } from './model.ts';
import type { Settings } from './options.ts';
import type { Targets } from './package-targets.ts';

/** What a target of all images of a directory does for each. */
const KINDS = ['image-build', 'image-run', 'image-test', 'verify'] as const;

/**
 * The targets of the image configs of a directory: `image-build--NAME` for each, and `image-build` for all.
 * @param projects the names of the projects of packages, by the packages' names
 */
export function imageTargets(
  images: readonly ModelImage[],
  root: string,
  settings: Settings,
  projects: ReadonlyMap<string, string>,
): Targets {
  const targets: Targets = {};
  for (const image of images) Object.assign(targets, oneImage(image, root, settings, projects));
  for (const kind of KINDS) {
    const all = images.map(({ name }) => `${kind}--${name}`);
    // Machines do not end by themselves: one is run, not all.
    if (kind === 'image-run' && all.length > 1) continue;
    targets[kind] = { executor: 'nx:noop', dependsOn: all };
  }
  return targets;
}

function oneImage(
  { file, name, inputs }: ModelImage,
  root: string,
  { lkt, out, expect, timeout }: Settings,
  projects: ReadonlyMap<string, string>,
): Targets {
  const dir = join(out, name);
  const prefix = join(dir, name);
  const build = `image-build--${name}`;
  const packages = (inputs?.uses ?? []).flatMap((use) => projects.get(use.package.name) ?? []);
  const files = inputs === undefined ? undefined : filesOf(inputs, root);
  const texts = expect.flatMap((text) => ['--expect', text]);
  const fromBuild = [{ externalDependencies: [] }, { dependentTasksOutputFiles: '**/*' }];
  return {
    [build]: {
      ...runTarget(lkt, ['build', '--dir', dir, file]),
      // What does not follow from files of the workspace alone has to be looked at each time, by lkt.
      cache: files !== undefined,
      inputs: [...(files ?? [`{workspaceRoot}/${file}`]), ...fromBuild],
      outputs: [`{workspaceRoot}/${dir}`],
      dependsOn:
        packages.length === 0
          ? []
          : [{ projects: packages, target: 'pkg-build', params: 'ignore' }],
      metadata: { description: `Build the image of ${file}` },
    },
    [`image-run--${name}`]: {
      ...runTarget(lkt, ['run', prefix]),
      cache: false,
      continuous: true,
      dependsOn: [build],
      metadata: { description: `Boot the image of ${file}` },
    },
    [`image-test--${name}`]: {
      ...runTarget(lkt, ['run', prefix, ...texts, '--timeout', String(timeout)]),
      cache: true,
      inputs: fromBuild,
      outputs: [],
      dependsOn: [build],
      metadata: { description: `Boot the image of ${file} until it says that it is up` },
    },
    [`verify--${name}`]: {
      ...runTarget(lkt, ['verify', file]),
      cache: false,
      metadata: { description: `Check who has signed what is in the image of ${file}` },
    },
  };
}

/** undefined where the image does not follow from files of the workspace. */
function filesOf(
  { files, sources, hasPolicy }: NonNullable<ModelImage['inputs']>,
  root: string,
): readonly string[] | undefined {
  if (hasPolicy) return undefined;
  const globs: string[] = [];
  for (const path of [...files, ...sources]) {
    const inside = isAbsolute(path) ? pathIn(root, path) : undefined;
    if (inside === undefined) return undefined;
    globs.push(`{workspaceRoot}/${inside}`);
    // It may be a directory.
    if (sources.includes(path)) globs.push(`{workspaceRoot}/${inside}/**/*`);
  }
  return [...new Set(globs)];
}
