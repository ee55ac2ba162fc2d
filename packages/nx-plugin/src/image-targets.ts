import { isAbsolute, join } from 'node:path';
import { runTarget } from './command.ts';
import type { ModelImage } from './workspace-model.ts';
import type { Settings } from './options.ts';
import { DEPENDENCY_OUTPUTS, NO_NPM_PACKAGES, pinTarget, type Targets } from './package-targets.ts';
import { workspacePath } from './workspace-path.ts';

/** Kinds of targets that exist for each image and for all images of a directory. */
const KINDS = ['image-build', 'image-run', 'image-test', 'pin', 'verify'] as const;

/**
 * Returns the targets of a directory's image configs: `image-build--NAME` for each, and
 * `image-build` for all.
 * @param projects names of package projects, by package name
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
    // Machines run until they are stopped, so only a single one is run.
    if (kind === 'image-run' && all.length > 1) continue;
    // With `pin --check` nothing may write.
    const params = kind === 'pin' ? 'forward' : 'ignore';
    const dependsOn = all.map((target) => ({ target, params }) as const);
    targets[kind] = { executor: 'nx:noop', dependsOn };
  }
  return targets;
}

function oneImage(
  { file, name, inputs }: ModelImage,
  root: string,
  settings: Settings,
  projects: ReadonlyMap<string, string>,
): Targets {
  const { lkt, layouts, out, expect, timeout } = settings;
  const dir = join(out, name);
  const prefix = join(dir, name);
  const build = `image-build--${name}`;
  const packages = (inputs?.uses ?? []).flatMap((use) => projects.get(use.package.name) ?? []);
  const files = filesOf(inputs ?? { files: [join(root, file)], sources: [] }, root);
  const ready = expect.flatMap((text) => ['--ready', text]);
  const limits = [...ready, '--boot-timeout', `${timeout}s`];
  const results = `${prefix}-junit.xml`;
  return {
    [build]: runTarget(
      `Build the image of ${file}`,
      lkt,
      ['build', '--layouts', layouts, '--dir', dir, file],
      {
        // lkt detects an unchanged image quickly. A cached one would also have to be trusted.
        cache: false,
        inputs: [...files, ...NO_NPM_PACKAGES, DEPENDENCY_OUTPUTS],
        outputs: [`{workspaceRoot}/${dir}`],
        dependsOn:
          packages.length === 0
            ? []
            : [{ projects: packages, target: 'pkg-build', params: 'ignore' }],
      },
    ),
    [`image-run--${name}`]: runTarget(`Boot the image of ${file}`, lkt, ['run', prefix], {
      continuous: true,
      dependsOn: [build],
    }),
    [`image-test--${name}`]: runTarget(
      `Boot the image of ${file} and run its tests`,
      lkt,
      ['test', '--layouts', layouts, '--dir', dir, ...limits, '--junit', results, file],
      {
        cache: true,
        inputs: [...files, ...NO_NPM_PACKAGES, { dependentTasksOutputFiles: '**/*' }],
        outputs: [`{workspaceRoot}/${results}`],
        dependsOn: [build],
      },
    ),
    [`pin--${name}`]: pinTarget(`Pin the images in ${file}`, settings, file),
    [`verify--${name}`]: runTarget(
      `Verify the signatures of the packages in the image of ${file}`,
      lkt,
      ['verify', file],
    ),
  };
}

/**
 * Returns input globs for the files of an image. Nx does not track files outside of the workspace.
 */
function filesOf(
  { files, sources }: Pick<NonNullable<ModelImage['inputs']>, 'files' | 'sources'>,
  root: string,
): readonly string[] {
  const globs = [...files, ...sources].flatMap((path) => {
    const inside = isAbsolute(path) ? workspacePath(root, path) : undefined;
    if (inside === undefined) return [];
    const glob = `{workspaceRoot}/${inside}`;
    // A source may be a directory.
    return sources.includes(path) ? [glob, `${glob}/**/*`] : [glob];
  });
  return [...new Set(globs)];
}
