import { relative } from 'node:path';
import { formatPlatform, parsePlatform, type Platform } from '@lkt/oci';
import { affectedPackages, type Workspace } from '@lkt/pkg';
import { configInputs } from './config-inputs.ts';
import { type ConfigFile, loadConfig, type LoadOptions } from './config/load-config.ts';

/** A package that CI must build. */
export interface PlannedPackage {
  readonly name: string;
  /** Relative to the top of the checkout. */
  readonly dir: string;
  /** Requested platforms that the package supports. */
  readonly platforms: readonly string[];
  /** `sources` if its own changed, else names of changed packages that it uses. */
  readonly because: readonly string[];
}

interface PlannedImage {
  /** The config, relative to the top of the checkout. */
  readonly file: string;
  /** `sources` if the config or a file that it names changed, else package names. */
  readonly because: readonly string[];
}

/** The builds of a CI run, in order. */
export interface CiPlan {
  /** Commit of the comparison; without it everything is planned. */
  readonly base: string | undefined;
  /** Packages of a wave depend only on earlier waves. */
  readonly waves: readonly (readonly PlannedPackage[])[];
  /** Images to build after the last wave. */
  readonly images: readonly PlannedImage[];
}

/**
 * Returns the workspace's own packages, and the images, that must be built because of changes since
 * a commit. Builds nothing.
 * @throws LktError GIT_FAILED for an unknown commit; the errors of reading configs and packages
 */
export async function planForCi(
  workspace: Workspace,
  configs: readonly ConfigFile[],
  options: {
    readonly base: string | undefined;
    /** Default: all platforms of each package. */
    readonly platforms?: readonly Platform[] | undefined;
    readonly load?: LoadOptions;
    readonly signal?: AbortSignal;
  },
): Promise<CiPlan> {
  const { root } = workspace;
  const wanted = options.platforms?.map(formatPlatform);
  const loaded = await Promise.all(
    configs.map(async (config) => loadConfig([config], options.load)),
  );
  // This adds packages outside the usual folders to the workspace.
  const inputs = await Promise.all(loaded.map(async (one) => configInputs(workspace, one)));
  const { changes, waves } = await affectedPackages(workspace, options.base, options.signal);
  const affected = new Set(waves.flat().map(({ item }) => item));
  // A build takes the packages of collections from their registry, or builds those that it needs.
  const own = waves.map((wave) => wave.filter(({ item }) => item.collection === undefined));
  const planned = own.map((wave) =>
    wave.map(({ item, isChanged, uses }) => ({
      name: item.name,
      dir: relative(root, item.dir) || '.',
      platforms: item.arches
        .map((arch) => formatPlatform(parsePlatform(`linux/${arch}`)))
        .filter((platform) => wanted === undefined || wanted.includes(platform)),
      because: reasons(
        isChanged,
        uses.map(({ name }) => name),
      ),
    })),
  );
  const images = inputs.map(({ files, sources, uses }, index) => ({
    file: relative(root, configs[index]?.absolute ?? ''),
    because: reasons(
      [...files, ...sources.map(withoutPattern)].some(changes.has),
      uses.flatMap(({ package: item }) => (affected.has(item) ? [item.name] : [])),
    ),
  }));
  return {
    base: changes.commit,
    waves: planned
      .map((wave) => wave.filter(({ platforms }) => platforms.length > 0))
      .filter((wave) => wave.length > 0),
    images: images.filter((image) => image.because.length > 0),
  };
}

/** Returns the directory above all matches of a pattern. */
function withoutPattern(source: string): string {
  return source.replace(/\/[^/]*[*?[{].*$/, '');
}

function reasons(isChanged: boolean, names: readonly string[]): readonly string[] {
  return [...(isChanged ? ['sources'] : []), ...names.toSorted()];
}
