import { LktError } from '@lkt/core';
import { Build } from '../build/build.ts';
import type { BuildOptions } from '../build/build-options.ts';
import type { BuiltPackage } from '../build/built-package.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';
import { pinOf } from './check-pin.ts';
import {
  findDockerfilePins,
  type PinChange,
  type WantedText,
  writeDockerfilePins,
} from './dockerfile-pins.ts';
import { type ForeignImages, foreignPin } from './foreign-images.ts';
import { ownRecipes } from './own-recipes.ts';
import { withPin } from './text-edit.ts';

export interface PinReport {
  readonly changes: readonly PinChange[];
  /** The targets and the packages that they use. */
  readonly packages: readonly BuiltPackage[];
  /** The current reference `org/image:<source hash>@<digest>` of each package, keyed by name. */
  readonly references: ReadonlyMap<string, string>;
}

/**
 * Limit for chains of packages inside the directories of other packages, which change their hashes.
 */
const MAX_ROUNDS = 5;

/**
 * Pins every Dockerfile to the current packages of the workspace. Builds in dependency order, and
 * before each build writes tags and digests of the used packages into the Dockerfile. Idempotent.
 * @param foreign resolves the tags of images that are not of the workspace; without it, they stay
 * @param onWritten receives each change when its file is written; those stay if a build fails
 * @throws GIT_FAILED outside git
 * @throws PIN_MISSING for a reference made of variables, which cannot be rewritten
 * @throws CONFIG_INVALID if the pins do not converge
 * @throws the errors of `resolveTag`, at the reference
 * @example
 * ```ts
 * const items = [...workspace.packages.values()];
 * const { changes } = await pinWorkspace(workspace, items, options);
 * for (const { file, line, to } of changes) console.log(`${file}:${line}: ${to}`);
 * ```
 */
export async function pinWorkspace(
  workspace: Workspace,
  targets: readonly Package[],
  options: BuildOptions,
  foreign?: ForeignImages,
  onWritten?: (change: PinChange) => void,
): Promise<PinReport> {
  const changes: PinChange[] = [];
  const record = (made: readonly PinChange[]): void => {
    changes.push(...made);
    for (const change of made) onWritten?.(change);
  };
  await pinWithoutBuild(workspace, targets, options, foreign, record);
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const before = changes.length;
    const build = await Build.start(workspace, targets, options, async (item, recipe, built) => {
      // The pins of a collection are its own.
      if (item.collection !== undefined) return false;
      const found = await findDockerfilePins(workspace, item, recipe, async (use) => {
        const used = use.package && built.get(use.package);
        return used && withPin(use.text, pinnedReference(used));
      });
      const made = await writeDockerfilePins(workspace, item, found);
      record(made);
      return made.length > 0;
    });
    const packages = await build.all();
    if (changes.length > before) continue;
    const references = new Map(packages.map((one) => [one.item.name, pinnedReference(one)]));
    return { changes, packages, references };
  }
  throw new LktError('CONFIG_INVALID', 'the pins do not converge', {
    fix: 'move packages out of the directories of the packages that they use',
  });
}

/**
 * Pins the Dockerfiles of own packages to images that need no build: those that collections
 * publish, and foreign ones.
 */
async function pinWithoutBuild(
  workspace: Workspace,
  targets: readonly Package[],
  options: BuildOptions,
  foreign: ForeignImages | undefined,
  record: (made: readonly PinChange[]) => void,
): Promise<void> {
  if (workspace.collections.size === 0 && foreign === undefined) return;
  for (const { item, recipe } of await ownRecipes(workspace, targets, options)) {
    const wanted: WantedText = async (use) => {
      if (use.package === undefined) return foreignPin(recipe.dockerfile.file, use, foreign);
      const published = publishedReference(use.package);
      return published === undefined ? undefined : withPin(use.text, published);
    };
    const found = await findDockerfilePins(workspace, item, recipe, wanted);
    record(await writeDockerfilePins(workspace, item, found));
  }
}

/** Returns the packages whose Dockerfiles name foreign images that would be pinned otherwise. */
export async function foreignUsers(
  workspace: Workspace,
  items: readonly Package[],
  foreign: ForeignImages,
): Promise<readonly Package[]> {
  const users: Package[] = [];
  for (const { item, recipe } of await ownRecipes(workspace, items)) {
    const { changes } = await findDockerfilePins(workspace, item, recipe, async (use) =>
      use.package === undefined ? foreignPin(recipe.dockerfile.file, use, foreign) : undefined,
    );
    if (changes.length > 0) users.push(item);
  }
  return users;
}

/** Returns the pin of a package as its collection publishes it; undefined without a digest. */
export function publishedReference(item: Package): string | undefined {
  const published = item.collection?.publishedAs(item);
  if (published?.digest === undefined) return undefined;
  return `${item.name}:${published.hash}@${published.digest}`;
}

/** @throws GIT_FAILED outside git, where a package has no source hash */
function pinnedReference(built: BuiltPackage): string {
  const pin = pinOf(built);
  if (pin !== undefined) return pin;
  throw outsideGit(built.item);
}

/** Returns the error for a package without a source hash. */
export function outsideGit({ name }: Package): LktError {
  return new LktError('GIT_FAILED', `${name} is not in git, so it has no source hash`, {
    fix: 'put the workspace under git: git init',
  });
}
