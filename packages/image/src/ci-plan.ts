import { relative } from 'node:path';
import { formatPlatform, parsePlatform, type Platform } from '@lkt/oci';
import { affectedPackages, type Workspace } from '@lkt/pkg';
import { configInputs } from './config-inputs.ts';
import { type ConfigFile, loadConfig, type LoadOptions } from './config/load-config.ts';

/** A package that a CI has to build. */
export interface PlannedPackage {
  readonly name: string;
  /** From the top of the checkout. */
  readonly dir: string;
  /** All that it is for and that are wanted. */
  readonly platforms: readonly string[];
  /** `sources`: its own differ; else the names of the packages in earlier waves that it uses. */
  readonly because: readonly string[];
}

interface PlannedImage {
  /** The config, from the top of the checkout. */
  readonly file: string;
  /** `sources`: the config or a file that it names differs; else names of packages. */
  readonly because: readonly string[];
}

export interface CiPlan {
  /** The commit that was compared with; without one everything is in the plan. */
  readonly base: string | undefined;
  /** Packages of a wave need nothing but what is in earlier ones. */
  readonly waves: readonly (readonly PlannedPackage[])[];
  /** What can be built after the last wave. */
  readonly images: readonly PlannedImage[];
}

/**
 * What differs since a commit and has to be built because of it. Nothing is built to find out.
 * @throws LktError GIT_FAILED for what is no commit; what is wrong with a file
 */
export async function planForCi(
  workspace: Workspace,
  configs: readonly ConfigFile[],
  options: {
    readonly base: string | undefined;
    /** By default all that packages are for. */
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
  // A package that a config alone knows by its directory is one of the workspace from then on.
  const inputs = await Promise.all(loaded.map(async (one) => configInputs(workspace, one)));
  const { changes, waves } = await affectedPackages(workspace, options.base, options.signal);
  const affected = new Set(waves.flat().map(({ item }) => item));
  const planned = waves.map((wave) =>
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

/** The directory that all that a pattern matches is in. */
function withoutPattern(source: string): string {
  return source.replace(/\/[^/]*[*?[{].*$/, '');
}

function reasons(isChanged: boolean, names: readonly string[]): readonly string[] {
  return [...(isChanged ? ['sources'] : []), ...names.toSorted()];
}
