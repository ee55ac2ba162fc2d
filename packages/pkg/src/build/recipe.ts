import { join } from 'node:path';
import {
  declaredArgs,
  type Dockerfile,
  type ImageReference,
  imageReferences,
  parseDockerfile,
  PROXY_ARGS,
} from '@lkt/dockerfile';
import { buildPlatformFor } from '@lkt/builder/inputs';
import {
  canonicalJson,
  digestHex,
  digestOf,
  isErrno,
  readSource,
  LktError,
  type SourceFile,
  sourceError,
} from '@lkt/core';
import { formatPlatform, parseReference, type Platform, type Reference } from '@lkt/oci';
import { type DockerImage, readDockerImages } from '../build-yml/docker-images.ts';
import { type BuildArg, resolveBuildArgs } from '../build-yml/build-args.ts';
import type { BuildOptions } from './build-options.ts';
import type { SourceHash } from '../sources/source-hash.ts';
import type { Sources } from '../sources/sources.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';

/** A parsed Dockerfile with the values of all build arguments. */
export interface Recipe {
  readonly dockerfile: Dockerfile;
  readonly buildArgs: ReadonlyMap<string, string>;
  /** Names of the arguments of build.yml, and of the predefined ones. */
  readonly alwaysGiven: ReadonlySet<string>;
  /**
   * Proxy arguments, which RUN receives without an ARG. They affect neither keys nor attestations.
   */
  readonly proxyArgs: ReadonlyMap<string, string>;
  /** Names of the command line's arguments that the Dockerfile uses. */
  readonly given: ReadonlySet<string>;
  /** Suffix of tags if arguments of the command line override build.yml, else empty. */
  readonly tagSuffix: string;
  /**
   * References of images on any of the platforms. A position occurs again if its text differs
   * between platforms.
   */
  readonly uses: readonly ImageUse[];
  /** The images to put into the build context. */
  readonly archived: readonly ArchivedUse[];
  /** The packages that calculated arguments name. */
  readonly argPackages: ReadonlySet<Package>;
}

/** An image of `depends`. */
interface ArchivedUse extends DockerImage {
  /** The package of this workspace that it names. */
  readonly package: Package | undefined;
}

/** A reference of an image in a Dockerfile. */
export interface ImageUse extends ImageReference {
  readonly parsed: Reference;
  /** The package of this workspace that it names. */
  readonly package: Package | undefined;
  /**
   * Whether the text comes from a calculated build argument, which always names the current
   * package.
   */
  readonly calculated: boolean;
}

/** Reads a file of a package. `shown` is its path in messages. */
export type ReadFile = typeof readSource;

/**
 * Returns the recipe of a package for these platforms; undefined for a package with a `debian`
 * block. Reads each once.
 */
export type Recipes = (
  item: Package,
  platforms: readonly Platform[],
) => Promise<Recipe | undefined>;

/**
 * Returns the recipes of one state of the sources.
 * @param named the packages that receive the command line's arguments
 */
export function recipesOf(
  workspace: Workspace,
  named: ReadonlySet<Package>,
  { hash }: Pick<Sources, 'hash'>,
  { buildArgs, engine }: Pick<BuildOptions, 'buildArgs' | 'engine'>,
  read?: ReadFile,
): Recipes {
  const known = new Map<string, Promise<Recipe | undefined>>();
  return async (item, platforms) => {
    const key = [item.dir, ...platforms.map(formatPlatform)].join(' ');
    const given = named.has(item) ? buildArgs : [];
    const options = { given, buildPlatform: engine.buildPlatform, read };
    const found = known.get(key) ?? readRecipe(workspace, item, platforms, hash, options);
    known.set(key, found);
    return found;
  };
}

interface RecipeOptions {
  /** Build arguments of the command line. */
  readonly given?: readonly BuildArg[] | undefined;
  readonly buildPlatform?: ((platform: Platform) => Platform) | undefined;
  readonly read?: ReadFile | undefined;
}

/**
 * Reads the Dockerfile of a package and resolves its arguments and references.
 * @returns undefined for a package with a `debian` block
 * @throws DOCKERFILE_INVALID, CONFIG_INVALID, NOT_FOUND
 */
export async function readRecipe(
  workspace: Workspace,
  item: Package,
  platforms: readonly Platform[],
  hashOf: (other: Package) => SourceHash,
  { given = [], buildPlatform = buildPlatformFor, read = readSource }: RecipeOptions = {},
): Promise<Recipe | undefined> {
  if (item.debian !== undefined) return undefined;
  // Fails for a Dockerfile outside the package, before an error would show its text.
  const ownHash = hashOf(item);
  const dockerfile = parseDockerfile(readDockerfile(workspace, item, read));
  const buildArgs = new Map<string, string>();
  const calculated = new Set<string>();
  const argPackages = new Set<Package>();
  const valuesOf = async (args: readonly BuildArg[]): Promise<ReadonlyMap<string, string>> => {
    const values = new Map<string, string>();
    for (const arg of await resolveBuildArgs(workspace, item, args)) {
      if ('value' in arg) {
        values.set(arg.name, arg.value);
        continue;
      }
      const text = `${arg.package.name}:${hashOf(arg.package).committed ?? 'latest'}`;
      values.set(arg.name, text);
      calculated.add(text);
      argPackages.add(arg.package);
    }
    return values;
  };
  for (const [name, value] of await valuesOf(item.buildArgs)) buildArgs.set(name, value);
  const declared = new Set(declaredArgs(dockerfile));
  for (const [name, value] of automaticArgs(item, ownHash))
    if (declared.has(name) && !buildArgs.has(name)) buildArgs.set(name, value);
  const alwaysGiven = new Set(buildArgs.keys());
  const values = [...(await valuesOf(given))];
  const used = values.filter(([name]) => declared.has(name));
  const proxyArgs = values.filter(([name]) => PROXY_ARGS.includes(name) && !declared.has(name));
  const different = used.filter(([name, value]) => buildArgs.get(name) !== value);
  for (const [name, value] of different) buildArgs.set(name, value);
  const wanted = targetOf(item, dockerfile);
  const uses = new Map<string, ImageUse>();
  for (const platform of platforms) {
    const options = { ...wanted, buildPlatform: buildPlatform(platform) };
    for (const reference of imageReferences(dockerfile, buildArgs, platform, options)) {
      const parsed = at(dockerfile.file, reference, () => parseReference(reference.text));
      // A trigger of a base may need the stage: what is pinned stays known.
      if (!reference.isNeeded && parsed.digest === undefined) continue;
      uses.set(`${reference.offset} ${reference.text}`, {
        ...reference,
        parsed,
        package: workspace.find(parsed, item),
        calculated: calculated.has(reference.text),
      });
    }
  }
  return {
    dockerfile,
    buildArgs,
    alwaysGiven,
    proxyArgs: new Map(proxyArgs),
    given: new Set([...used, ...proxyArgs].map(([name]) => name)),
    tagSuffix: tagSuffix(different),
    uses: [...uses.values()],
    archived: archivedUses(workspace, item, read),
    argPackages,
  };
}

function archivedUses(workspace: Workspace, item: Package, read: ReadFile): readonly ArchivedUse[] {
  if (item.depends === undefined) return [];
  const displayPath = (path: string): string => workspace.displayPath(path);
  const images = readDockerImages(item.dir, item.depends, displayPath, read);
  return images.map((image) => ({ ...image, package: workspace.find(image.reference, item) }));
}

function tagSuffix(different: readonly (readonly [string, string])[]): string {
  if (different.length === 0) return '';
  return `-args-${digestHex(digestOf(canonicalJson(Object.fromEntries(different)))).slice(0, 7)}`;
}

function targetOf(item: Package, { stages }: Dockerfile): { readonly target?: string } {
  if (item.target === undefined) return {};
  const { stage: target, at: place } = item.target;
  const names = stages.flatMap(({ from }) => from.name ?? []);
  // As in BuildKit: the name of a stage, in any case, or its number.
  if (names.some((name) => name.toLowerCase() === target.toLowerCase())) return { target };
  if (/^\d+$/.test(target) && Number(target) < stages.length) return { target };
  throw place.error(`${item.dockerfile} has no stage "${target}"`, {
    fix: names.length === 0 ? 'name a stage: FROM … AS NAME' : `use one of: ${names.join(', ')}`,
  });
}

/**
 * Returns LinuxKit's predefined arguments, except the commit and its date: equal sources must
 * produce equal images.
 */
function automaticArgs(item: Package, { committed }: SourceHash): ReadonlyMap<string, string> {
  return new Map([
    ...(item.gitrepo === undefined ? [] : [['SOURCE', item.gitrepo] as const]),
    ...(committed === undefined ? [] : [['PKG_HASH', committed] as const]),
    ['PKG_IMAGE', item.name] as const,
  ]);
}

function readDockerfile(workspace: Workspace, item: Package, read: ReadFile): SourceFile {
  const path = join(item.dir, item.dockerfile);
  try {
    return read(path, workspace.displayPath(path));
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ENOTDIR', 'EISDIR')) throw error;
    throw new LktError(
      'NOT_FOUND',
      `${workspace.displayPath(item.dir)} has no ${item.dockerfile}`,
      {
        cause: error,
        fix: 'add one, or name it in build.yml: dockerfile: NAME',
      },
    );
  }
}

function at<T>(file: SourceFile, { position, length }: ImageReference, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof LktError)) throw error;
    throw sourceError(error.code, file, position, error.message, {
      length,
      fix: error.fix,
    });
  }
}
