import { Context, type ContextFile } from '@lkt/builder/inputs';
import type { BuildContext, BuildRequest } from '@lkt/builder';
import type { Digest, Reporter } from '@lkt/core';
import type { DebianLock } from '@lkt/debian';
import type { Dockerfile } from '@lkt/dockerfile';
import type { Platform } from '@lkt/oci';
import { debianKey, dockerfileKey } from './build-key.ts';
import type { BuildTools } from './build-options.ts';
import { type DebianImage, readLock } from '../debian/debian-package.ts';
import { labelsOf } from '../build-yml/image-config.ts';
import type { Recipe } from './recipe.ts';
import { withArchives } from '../sources/image-archives.ts';
import type { Sources } from '../sources/sources.ts';
import type { UsedImages } from './used-images.ts';
import type { Package } from '../workspace/workspace.ts';

/** The inputs of an image of a package for one platform. */
export interface ImageInputs extends UsedImages {
  readonly platform: Platform;
  /** For this platform; undefined for a package with a `debian` block. */
  readonly recipe: Recipe | undefined;
}

/** The inputs of an image, with the key of its build. */
export interface KeyedInputs extends ImageInputs {
  readonly key: string;
  /** Digest of the paths, types, modes and contents of the build context; for a Dockerfile. */
  readonly contextDigest?: Digest;
  /** For a package with a `debian` block. */
  readonly lock?: DebianLock;
}

/** An image that is ready to build. */
export interface PlannedImage {
  readonly inputs: KeyedInputs;
  readonly build:
    | DockerfileBuild
    | { readonly kind: 'debian'; readonly image: DebianImage; readonly reporter: Reporter };
}

export interface DockerfileBuild {
  readonly kind: 'dockerfile';
  readonly dockerfile: Dockerfile;
  readonly request: BuildRequest;
  readonly context: BuildContext;
  /** The build context, with the state of each file when it was read for the key. */
  readonly tree: Context;
}

/** A build context as list and as tree. */
export interface BuildTree {
  readonly files: readonly ContextFile[];
  readonly tree: Context;
}

/** Returns the build context of a package. */
export async function readBuildTree(item: Package, sources: Sources): Promise<BuildTree> {
  return treeOf(await sources.context(item));
}

/**
 * Plans the image of a Dockerfile for one platform.
 * @throws CONFIG_INVALID, NOT_FOUND, IO_FAILED
 */
export async function planDockerfile(
  item: Package,
  inputs: ImageInputs,
  recipe: Recipe,
  own: BuildTree,
  tools: BuildTools,
): Promise<PlannedImage> {
  const { workspace, store, reporter, signal, env, cache, remoteCache, run, emptyCaches } = tools;
  const { platform, bases, archived } = inputs;
  const { files, tree } =
    item.depends === undefined || archived.length === 0
      ? own
      : treeOf(await withArchives(store, own.files, item.depends, archived, signal));
  const given = {
    context: files,
    buildArgs: recipe.buildArgs,
    labels: labelsOf(item),
    bases,
    network: item.network,
    target: item.target?.stage,
    platform,
  };
  const { dockerfile } = recipe;
  const request: BuildRequest = {
    ...run,
    ...given,
    buildArgs: new Map([...recipe.buildArgs, ...recipe.proxyArgs]),
    alwaysGiven: recipe.alwaysGiven,
    name: item.name,
    dockerfile: dockerfile.file,
    // Others' packages must not plant files for those of this workspace.
    cacheScope: item.collection?.root ?? workspace.root,
    emptyCaches,
    noCache: item.disableCache,
    remoteCache,
  };
  const context = { store, tree, reporter, signal, env, cache };
  const key = await dockerfileKey({ ...given, tree, dockerfile: dockerfile.file.text }, signal);
  return {
    inputs: { ...inputs, ...key },
    build: { kind: 'dockerfile', dockerfile, request, context, tree },
  };
}

/**
 * Plans the image of a `debian` block for one platform.
 * @throws CONFIG_INVALID, NOT_FOUND
 */
export async function planDebian(
  item: Package,
  inputs: ImageInputs,
  { workspace, reporter }: BuildTools,
): Promise<PlannedImage> {
  const { platform } = inputs;
  const { debian: block } = item;
  if (block === undefined) throw new Error(`${item.name} has neither Dockerfile nor debian`);
  const lock = await readLock(workspace, item, platform);
  const directory = workspace.displayPath(item.dir);
  const image = { lock, block, labels: labelsOf(item), platform, directory };
  return {
    inputs: { ...inputs, key: debianKey(image), lock },
    build: { kind: 'debian', image, reporter },
  };
}

function treeOf(files: readonly ContextFile[]): BuildTree {
  return { files, tree: new Context(files) };
}
