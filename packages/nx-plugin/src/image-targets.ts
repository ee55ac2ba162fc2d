import { isAbsolute, join } from 'node:path';
import { runTarget } from './command.ts';
import type { ModelImage } from './model.ts';
import type { Settings } from './options.ts';
import { NOTHING_ELSE, PACKAGES, type Targets } from './package-targets.ts';
import { pathIn } from './path-in.ts';

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
  { lkt, layouts, out, expect, timeout }: Settings,
  projects: ReadonlyMap<string, string>,
): Targets {
  const dir = join(out, name);
  const prefix = join(dir, name);
  const build = `image-build--${name}`;
  const packages = (inputs?.uses ?? []).flatMap((use) => projects.get(use.package.name) ?? []);
  const files = filesOf(inputs ?? { files: [join(root, file)], sources: [] }, root);
  const texts = expect.flatMap((text) => ['--expect', text]);
  return {
    [build]: {
      ...runTarget(lkt, ['build', '--layouts', layouts, '--dir', dir, file]),
      // An image is put together anew from what is pinned: lkt sees at once that nothing has changed, and nobody has to be
      // believed what is in it.
      cache: false,
      inputs: [...files, ...NOTHING_ELSE, PACKAGES],
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
      inputs: [...NOTHING_ELSE, { dependentTasksOutputFiles: '**/*' }],
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

/** The files of the workspace that an image is made from; what is elsewhere Nx does not see. */
function filesOf(
  { files, sources }: Pick<NonNullable<ModelImage['inputs']>, 'files' | 'sources'>,
  root: string,
): readonly string[] {
  const globs = [...files, ...sources].flatMap((path) => {
    const inside = isAbsolute(path) ? pathIn(root, path) : undefined;
    if (inside === undefined) return [];
    const glob = `{workspaceRoot}/${inside}`;
    // A source may be a directory.
    return sources.includes(path) ? [glob, `${glob}/**/*`] : [glob];
  });
  return [...new Set(globs)];
}
