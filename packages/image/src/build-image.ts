import { type BuildOptions, type BuiltPackage, resolveImages, type Workspace } from '@lkt/pkg';
import type { Compression } from '@lkt/formats';
import { checkOutput, composeConfig, withFormats } from './compose.ts';
import type { ComposeOptions } from './compose-options.ts';
import { imageReferencesOf, type SystemConfig } from './config/config.ts';
import { configOrigin } from './config-origin.ts';
import { errorAt } from './config/fields.ts';
import { type ConfigFile, inputFiles, loadConfig } from './config/load-config.ts';
import { ImageCaches } from './image-caches.ts';
import { filesBefore, imageInputs } from './image-inputs.ts';
import type { PackageImage } from './plan.ts';
import { Prefetch } from './prefetch.ts';
import { queriesOf, withSources } from './queries.ts';
import { type KnownSboms, sbomPath } from './sbom.ts';
import {
  configDirs,
  configPolicies,
  requirePolicy,
  trustCheck,
  trustGate,
  type TrustOptions,
  trustWarnings,
} from './trust/check-images.ts';
import type { BuiltImage } from './built-image.ts';

/** Options of `buildImage`: the configs, and the policies that apply. */
export interface BuildImageOptions extends Omit<
  ComposeOptions,
  'resolvePackage' | 'isTrusted' | 'provenance'
> {
  readonly configs: readonly ConfigFile[];
  readonly trust?: TrustOptions;
  /** Accept only references with a digest, and no package by its directory. */
  readonly locked?: boolean;
  /** Fail if no trust policy applies to the configs. */
  readonly requirePolicy?: boolean;
  /** Write the provenance: the inputs, and why they are trusted. */
  readonly provenance?: boolean;
  /** Build the packages of the workspace that the configs name from their sources, not by pin. */
  readonly fromSources?: boolean;
}

/**
 * Builds an image from its configs: first the packages of the workspace that they name and that are
 * not built yet, then the image. Reads the configs before it opens the workspace, so their errors
 * come first.
 *
 * If a policy requires signatures, verifies external images before it pulls, builds or writes
 * anything. The same policies apply to the images that the packages' Dockerfiles name.
 * @throws LktError SIGNATURE_INVALID, PIN_MISSING, PIN_STALE, NOT_FOUND at the reference; the
 * errors of `buildPackages` and `composeImage`
 */
export async function buildImage(
  openWorkspace: () => Promise<Workspace>,
  options: BuildImageOptions,
  tools: BuildOptions,
): Promise<BuiltImage> {
  const pinned = withFormats(await loadConfig(options.configs, options), options);
  const compression = await requireBuildable(pinned.config, options);
  const before = filesBefore(pinned, { ...options, store: tools.store });
  await using caches = new ImageCaches(options.store, options);
  await using prefetch = new Prefetch(caches);
  // Where a policy may apply, no image is read before its signatures are verified.
  const policies = await configPolicies(pinned, options.trust);
  if (options.requirePolicy === true) requirePolicy(policies, pinned);
  if (policies.length === 0) await prefetch.start(pinned.config, options);
  const workspace = await openWorkspace();
  const loaded = options.fromSources === true ? withSources(pinned, workspace) : pinned;
  // git runs meanwhile. An error of the build comes first.
  const finding =
    options.provenance === true ? configOrigin(workspace, loaded, options.signal) : undefined;
  finding?.catch(() => undefined);
  const { queries, directories } = queriesOf(loaded);
  const { hasImage } = tools;
  const check = await trustCheck(workspace, policies, tools.store, { ...options, hasImage });
  await check?.requireSigned(queries, tools.reporter);
  await prefetch.start(loaded.config, options);
  const resolved = await resolveImages(workspace, queries, {
    ...tools,
    fetchImage:
      tools.fetchImage &&
      (async (image, ...rest) => {
        await tools.fetchImage?.(image, ...rest);
        prefetch.stored(image.digest);
      }),
    requireTrusted: trustGate(check, tools),
  });
  const trust = (await check?.results(queries, resolved.packages)) ?? [];
  await prefetch.finish();
  const { variables } = loaded;
  const origin = await finding;
  const image = await composeConfig(
    loaded.config,
    {
      ...options,
      resolvePackage: async (text) => packageImage(resolved, directories.get(text) ?? ''),
      isTrusted: true,
      sbom: options.sbom && {
        known: sbomsOf(resolved.packages),
        signed: check && (async (source) => check.signedSboms(source)),
        ...options.sbom,
      },
      provenance:
        options.provenance === true
          ? { files: inputFiles(loaded), variables, trust, origin }
          : undefined,
    },
    compression,
    caches,
  );
  const { packages, hashes } = resolved;
  const inputs = before && imageInputs(workspace, hashes, tools.store, before, configDirs(loaded));
  return {
    ...image,
    warnings: [...loaded.warnings, ...trustWarnings(loaded, policies), ...image.warnings],
    packages,
    policies: policies.map(({ name }) => name),
    trust,
    variables,
    inputs,
  };
}

/**
 * Checks what can be checked before the workspace is opened and packages are built. Returns how to
 * compress the output.
 */
async function requireBuildable(
  config: SystemConfig,
  options: BuildImageOptions,
): Promise<Compression> {
  if (options.locked === true) requireLocked(config);
  const compression = await checkOutput(options);
  if (options.sbom?.path !== undefined) sbomPath(options.sbom.path);
  return compression;
}

/** Returns the image of the package in a directory. */
function packageImage(
  { digests, packages }: Awaited<ReturnType<typeof resolveImages>>,
  dir: string,
): PackageImage {
  const digest = digests.get(dir);
  const built = packages.find(({ index }) => index.digest === digest);
  if (digest === undefined || built === undefined) throw new Error(`${dir} was not resolved`);
  return { digest, full: `${built.references[0] ?? built.item.name}@${digest}` };
}

/** Returns the SBOM of each image that packages built, by its digest. */
function sbomsOf(packages: readonly BuiltPackage[]): KnownSboms {
  return new Map(
    packages.flatMap(({ images, attestations }) =>
      images.flatMap(({ digest }, index) => {
        const sbom = attestations?.images[index]?.sbom;
        return sbom === undefined ? [] : [[digest, sbom] as const];
      }),
    ),
  );
}

/** @throws LktError PIN_MISSING at the first reference without a digest */
function requireLocked(config: SystemConfig): void {
  for (const { text, reference, at } of imageReferencesOf(config))
    if (reference?.digest === undefined)
      throw errorAt('PIN_MISSING', at, `${text} has no digest, and --locked resolves nothing`, {
        fix:
          reference === undefined
            ? 'name the package by tag and digest'
            : `run: lkt pin ${at.file.path}`,
      });
}
