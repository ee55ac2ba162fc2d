import { LktError, sourceError } from '@lkt/core';
import { Build } from '../build/build.ts';
import type { BuildOptions } from '../build/build-options.ts';
import type { BuiltPackage } from '../build/built-package.ts';
import { pinOf } from './check-pin.ts';
import { readRecipe, type Recipe } from '../build/recipe.ts';
import { readSources } from '../sources/sources.ts';
import { platformsOf } from '../workspace/platforms.ts';
import { type TextEdit, withPin, applyEdits } from './text-edit.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';
import { writeFileAtomic } from '../write-file-atomic.ts';
import { join } from 'node:path';

/** A reference that was rewritten. */
export interface PinChange {
  /** Path as shown to the user. */
  readonly file: string;
  readonly line: number;
  readonly from: string;
  readonly to: string;
}

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
 * @throws GIT_FAILED outside git
 * @throws PIN_MISSING for a reference made of variables, which cannot be rewritten
 * @throws CONFIG_INVALID if the pins do not converge
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
): Promise<PinReport> {
  const changes: PinChange[] = [...(await pinPublished(workspace, targets, options))];
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const before = changes.length;
    const build = await Build.start(workspace, targets, options, async (item, recipe, built) => {
      // The pins of a collection are its own.
      const made = item.collection
        ? []
        : await pinDockerfile(workspace, item, recipe, (used) => {
            const found = built.get(used);
            return found && pinnedReference(found);
          });
      changes.push(...made);
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
 * Pins the Dockerfiles of own packages to the images that collections publish. The published digest
 * needs no build of the package.
 */
async function pinPublished(
  workspace: Workspace,
  targets: readonly Package[],
  { platforms, signal }: BuildOptions,
): Promise<readonly PinChange[]> {
  const changes: PinChange[] = [];
  if (workspace.collections.size === 0) return changes;
  const sources = await readSources(workspace, workspace.packages.values(), { signal });
  const seen = new Set<Package>();
  const todo = targets.filter(({ collection }) => collection === undefined);
  for (let item = todo.pop(); item !== undefined; item = todo.pop()) {
    if (seen.has(item)) continue;
    seen.add(item);
    const recipe = await readRecipe(workspace, item, platformsOf(item, platforms), sources.hash);
    if (recipe === undefined) continue;
    todo.push(
      ...recipe.uses.flatMap(({ package: used }) =>
        used === undefined || used.collection !== undefined ? [] : used,
      ),
    );
    changes.push(...(await pinDockerfile(workspace, item, recipe, publishedReference)));
  }
  return changes;
}

/** Returns the pin of a package as its collection publishes it. */
export function publishedReference(item: Package): string | undefined {
  const published = item.collection?.publishedAs(item);
  return published && `${item.name}:${published.hash}@${published.digest}`;
}

/** @throws GIT_FAILED outside git, where a package has no source hash */
function pinnedReference(built: BuiltPackage): string {
  const pin = pinOf(built);
  if (pin !== undefined) return pin;
  throw new LktError('GIT_FAILED', `${built.item.name} is not in git, so it has no source hash`, {
    fix: 'put the workspace under git: git init',
  });
}

async function pinDockerfile(
  workspace: Workspace,
  item: Package,
  { dockerfile, uses }: Recipe,
  pinFor: (used: Package) => string | undefined,
): Promise<readonly PinChange[]> {
  const { file } = dockerfile;
  const edits: TextEdit[] = [];
  const argumentEdits = new Map<number, TextEdit>();
  const changes: PinChange[] = [];
  for (const use of uses) {
    const pin = use.package && pinFor(use.package);
    if (pin === undefined || use.calculated) continue;
    const to = withPin(use.text, pin);
    if (to === use.text) continue;
    if (use.written !== use.text) {
      const found = argumentPin(item, use, to);
      const known = found && argumentEdits.get(found.edit.offset);
      if (found === undefined || (known && known.replacement !== found.edit.replacement)) {
        const problem = `cannot pin ${use.written}: it contains variables`;
        const fix = `write it without variables: ${to}`;
        throw sourceError('PIN_MISSING', file, use.position, problem, { length: use.length, fix });
      }
      if (known === undefined) changes.push(found.change);
      argumentEdits.set(found.edit.offset, found.edit);
      continue;
    }
    edits.push({ offset: use.offset, length: use.length, replacement: to });
    changes.push({ file: file.path, line: use.position.line, from: use.written, to });
  }
  if (edits.length > 0)
    await writeFileAtomic(join(item.dir, item.dockerfile), applyEdits(file.text, edits));
  if (argumentEdits.size > 0) {
    const text = applyEdits(item.file.text, [...argumentEdits.values()]);
    await writeFileAtomic(join(item.dir, workspace.buildYml), text);
    workspace.reread(item);
  }
  return changes;
}

/**
 * Returns the change of the build argument in build.yml that a reference ends with, as in
 * `${IMAGE}:${TAG}`; undefined if it cannot be the pin.
 */
function argumentPin(
  item: Package,
  { written, text }: Recipe['uses'][number],
  to: string,
): { readonly edit: TextEdit; readonly change: PinChange } | undefined {
  const [, braced, plain] = /\$(?:\{(\w+)\}|(\w+))$/.exec(written) ?? [];
  const name = braced ?? plain;
  const arg = item.buildArgs.findLast((one) => one.name === name);
  const { range, position } = arg?.at ?? {};
  if (arg === undefined || range === undefined || !text.endsWith(arg.value)) return undefined;
  const before = text.slice(0, text.length - arg.value.length);
  const from = `${arg.name}=${arg.value}`;
  const offset = item.file.text.indexOf(from, range[0]);
  if (!to.startsWith(before) || offset === -1 || offset + from.length > range[1]) return undefined;
  const replacement = `${arg.name}=${to.slice(before.length)}`;
  return {
    edit: { offset, length: from.length, replacement },
    change: { file: item.file.path, line: position?.line ?? 1, from, to: replacement },
  };
}
