import type { Engine } from '@lkt/build';
import type { Digest, Reporter } from '@lkt/core';
import { type Descriptor, formatPlatform, type Platform, type Store, writeIndex } from '@lkt/oci';
import { debianKey, dockerfileKey } from './build-key.ts';
import { buildDebianImage, type FindMirror, readLock } from './debian-package.ts';
import { labelsOf } from './labels.ts';
import type { Recipe } from './recipe.ts';
import { readResult, writeResult } from './results.ts';
import type { Sources } from './sources.ts';
import type { Package, Workspace } from './workspace.ts';

/** What building needs besides the sources. */
export interface BuildTools {
  readonly store: Store;
  readonly engine: Engine;
  readonly mirror: FindMirror;
  readonly reporter: Reporter;
  readonly signal?: AbortSignal | undefined;
  /** How many processors a build that starts now may keep busy. */
  readonly cpus?: () => number;
}

export interface PackageBuild {
  readonly item: Package;
  readonly platforms: readonly Platform[];
  /** undefined for a package of .debs. */
  readonly recipe: Recipe | undefined;
  /** Images in the store for the references of the recipe, by their text. */
  readonly bases: ReadonlyMap<string, Digest>;
  /** Builds although there is a result. */
  readonly force: boolean;
  /** Does every step anew if it is built. */
  readonly noCache: boolean;
}

/**
 * Builds a package for its platforms, or finds that it has been built.
 *
 * Processes that want the same package at the same time build it once. The index is the same bytes whether its images
 * were built now or before.
 * @returns the index, and whether nothing had to be built
 */
export async function buildPackage(
  workspace: Workspace,
  sources: Sources,
  build: PackageBuild,
  tools: BuildTools,
): Promise<{ index: Descriptor; cached: boolean }> {
  const { item, platforms } = build;
  let cached = true;
  const manifests: Descriptor[] = [];
  for (const platform of platforms) {
    const image = await prepare(workspace, sources, build, platform, tools);
    const { store, signal, reporter } = tools;
    const known = await readResult(store, image.key, platform);
    if (known !== undefined && !build.force) {
      manifests.push(known);
      continue;
    }
    const name = `package ${item.name} ${formatPlatform(platform)}`;
    const built = await store.withLock(
      name,
      async () => {
        const meanwhile = build.force ? undefined : await readResult(store, image.key, platform);
        if (meanwhile !== undefined) return meanwhile;
        cached = false;
        const descriptor = { ...(await image.run()), platform };
        await writeResult(store, image.key, descriptor);
        return descriptor;
      },
      // Another process may be at a build that takes long; the wait ends with it, or with this process.
      { timeoutMs: 24 * 3600_000, ...(signal === undefined ? {} : { signal }) },
    );
    if (known !== undefined && known.digest !== built.digest && item.reproducible) {
      reporter.emit({
        kind: 'warning',
        text: `${item.name} is not reproducible: the same sources gave ${known.digest}, and now ${built.digest}`,
      });
    }
    manifests.push(built);
  }
  return { index: await writeIndex(tools.store, manifests), cached };
}

/** The key of one image, and how to build it. */
interface PlannedImage {
  readonly key: string;
  run(): Promise<Descriptor>;
}

async function prepare(
  workspace: Workspace,
  sources: Sources,
  build: PackageBuild,
  platform: Platform,
  tools: BuildTools,
): Promise<PlannedImage> {
  const { item, recipe } = build;
  const labels = labelsOf(item);
  if (recipe === undefined) return prepareDebian(workspace, item, platform, labels, tools);
  const { store, engine, reporter, signal } = tools;
  const inputs = {
    context: await sources.context(item),
    buildArgs: recipe.buildArgs,
    labels,
    bases: build.bases,
    network: item.network,
    ...(item.target !== undefined && { target: item.target.stage }),
    platform,
  };
  const { file } = recipe.dockerfile;
  return {
    key: await dockerfileKey({ ...inputs, dockerfile: file.text }, signal),
    run: () =>
      engine.build(
        {
          ...inputs,
          name: item.name,
          dockerfile: file,
          noCache: build.noCache || item.disableCache,
          ...(tools.cpus !== undefined && { cpus: tools.cpus() }),
        },
        { store, reporter, ...(signal === undefined ? {} : { signal }) },
      ),
  };
}

async function prepareDebian(
  workspace: Workspace,
  item: Package,
  platform: Platform,
  labels: Readonly<Record<string, string>>,
  tools: BuildTools,
): Promise<PlannedImage> {
  const { debian: block } = item;
  if (block === undefined) throw new Error(`${item.name} has neither Dockerfile nor debian`);
  const lock = await readLock(workspace, item, platform);
  const image = { lock, block, labels, platform, directory: workspace.displayPath(item.dir) };
  return { key: debianKey(image), run: () => buildDebianImage(image, tools) };
}
