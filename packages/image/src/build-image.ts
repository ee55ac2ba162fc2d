import { type BuildOptions, resolveImages, type Workspace } from '@lkt/pkg';
import { composeConfig, requireOutput, withFormats } from './compose.ts';
import type { ComposeOptions } from './compose-options.ts';
import { imageReferencesOf, type SystemConfig } from './config/config.ts';
import { errorAt } from './config/fields.ts';
import { type ConfigFile, loadConfig } from './config/load-config.ts';
import { EarlyComposing } from './early-composing.ts';
import { chooseCompression } from '@lkt/formats';
import { filesBefore, imageInputs } from './image-inputs.ts';
import type { PackageImage } from './plan.ts';
import { queriesOf } from './queries.ts';
import { sbomPath } from './sbom.ts';
import { startTrustCheck, type TrustOptions } from './trust/check-images.ts';
import type { BuiltImage } from './built-image.ts';

export interface BuildImageOptions extends Omit<
  ComposeOptions,
  'resolvePackage' | 'isTrusted' | 'provenance'
> {
  readonly configs: readonly ConfigFile[];
  readonly trust?: TrustOptions;
  /** Take nothing but what a digest names: no package by its directory. */
  readonly locked?: boolean;
  /** Write what went in, and why it was trusted. */
  readonly provenance?: boolean;
}

/**
 * Builds an image from its configs: first the packages of the workspace that they name, as far as they have not been
 * built, each checked to give the digest that is pinned; then the image. The configs are read before the workspace is
 * opened, so their mistakes come first.
 *
 * Where a policy asks for signatures, images from elsewhere are verified before anything is pulled, built or written, and
 * the same policies hold for those that Dockerfiles of the packages name.
 * @throws LktError SIGNATURE_INVALID, PIN_MISSING, PIN_STALE, NOT_FOUND at the reference; what `buildPackages` and `composeImage` throw
 */
export async function buildImage(
  openWorkspace: () => Promise<Workspace>,
  options: BuildImageOptions,
  tools: BuildOptions,
): Promise<BuiltImage> {
  const loaded = withFormats(await loadConfig(options.configs, options), options);
  if (options.locked === true) requireLocked(loaded.config);
  const { queries, directories } = queriesOf(loaded);
  await requireOutput(options);
  await chooseCompression(options.compressor ?? 'zstd', options.level);
  if (options.sbom?.path !== undefined) sbomPath(options.sbom.path);
  const before = filesBefore(loaded, { ...options, store: tools.store });
  await using begun = new AsyncDisposableStack();
  const begin = (): EarlyComposing => begun.use(new EarlyComposing(loaded.config, options));
  // Nothing is looked into before its signatures were, if any are asked for.
  const first = (await mayHavePolicy(loaded.config, options.trust)) ? undefined : begin();
  const workspace = await openWorkspace();
  const check = await startTrustCheck(workspace, loaded, tools.store, options);
  await check?.requireSigned(queries, tools.reporter);
  const gated = check === undefined ? tools : { ...tools, requireTrusted: check.requireTrusted };
  const early = first ?? begin();
  const { digests, packages } = await resolveImages(workspace, queries, gated);
  const trust = (await check?.results(queries, packages)) ?? [];
  const resolvePackage = (text: string): Promise<PackageImage> => {
    const dir = directories.get(text) ?? '';
    const digest = digests.get(dir);
    const built = packages.find(({ index }) => index.digest === digest);
    if (digest === undefined || built === undefined) throw new Error(`${text} was not resolved`);
    return Promise.resolve({ digest, full: `${built.references[0] ?? built.item.name}@${digest}` });
  };
  const known = new Map(
    packages.flatMap(({ images, attestations }) =>
      images.flatMap(({ digest }, index) => {
        const sbom = attestations.images[index]?.sbom;
        return sbom === undefined ? [] : [[digest, sbom] as const];
      }),
    ),
  );
  const sbom = options.sbom === undefined ? {} : { sbom: { known, ...options.sbom } };
  const { variables } = loaded;
  const { provenance: isWanted, ...rest } = options;
  const composeOptions = {
    ...rest,
    ...sbom,
    ...(isWanted === true ? { provenance: { files: loaded.files, variables, trust } } : {}),
    resolvePackage,
    isTrusted: true,
  };
  const image = await composeConfig(loaded.config, composeOptions, early);
  const inputs = before && imageInputs(workspace, packages, tools.store, before);
  return { ...image, packages, trust, variables, inputs };
}

/** Whether there may be a policy that refuses an image. */
async function mayHavePolicy(
  { trust }: SystemConfig,
  options: TrustOptions = {},
): Promise<boolean> {
  if (trust.length > 0) return true;
  return options.policies !== undefined && (await options.mayHavePolicy?.()) !== false;
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
