import { dirname, resolve } from 'node:path';
import { type Digest, LktError } from '@lkt/core';
import {
  type BuildOptions,
  type BuiltPackage,
  type ImageQuery,
  resolveImages,
  type Workspace,
} from '@lkt/pkg';
import { type ComposedImage, composeImage, type ComposeOptions, requireOutput } from './compose.ts';
import { imageReferencesOf, parseConfig } from './config/config.ts';
import { errorAt } from './config/fields.ts';
import type { ConfigFile } from './pin.ts';
import { sbomPath } from './sbom.ts';

export interface BuildImageOptions extends Omit<ComposeOptions, 'resolvePackage'> {
  readonly configs: readonly ConfigFile[];
}

export interface BuiltImage extends ComposedImage {
  /** The packages of the workspace that are in the image, and what they were built with. */
  readonly packages: readonly BuiltPackage[];
}

/**
 * Builds an image from its configs: first the packages of the workspace that they name, as far as they have not been
 * built, each checked to give the digest that is pinned; then the image. The configs are read before the workspace is
 * opened, so their mistakes come first.
 * @throws LktError PIN_MISSING, PIN_STALE, NOT_FOUND at the reference; what `buildPackages` and `composeImage` throw
 */
export async function buildImage(
  openWorkspace: () => Promise<Workspace>,
  options: BuildImageOptions,
  tools: BuildOptions,
): Promise<BuiltImage> {
  const { queries, directories } = queriesOf(options.configs);
  await requireOutput(options);
  if (options.sbom?.path !== undefined) sbomPath(options.sbom.path);
  const { digests, report } = await resolveImages(await openWorkspace(), queries, tools);
  const resolvePackage = (text: string): Promise<Digest> => {
    const digest = digests.get(directories.get(text) ?? '');
    if (digest === undefined) throw new Error(`${text} was not resolved`);
    return Promise.resolve(digest);
  };
  const known = new Map(
    report.packages.flatMap(({ images, attestations }) =>
      images.flatMap(({ digest }, index) => {
        const sbom = attestations.images[index]?.sbom;
        return sbom === undefined ? [] : [[digest, sbom] as const];
      }),
    ),
  );
  const sbom = options.sbom === undefined ? {} : { sbom: { known, ...options.sbom } };
  const image = await composeImage({ ...options, ...sbom, resolvePackage });
  return { ...image, packages: report.packages };
}

/** What the configs name, and for each `@pkg:DIR` in them the directory. */
function queriesOf(configs: readonly ConfigFile[]): {
  queries: readonly ImageQuery[];
  directories: ReadonlyMap<string, string>;
} {
  const queries: ImageQuery[] = [];
  const directories = new Map<string, string>();
  for (const config of configs) {
    for (const { text, reference, packageDir, at } of imageReferencesOf(parseConfig(config))) {
      const error: ImageQuery['error'] = ({ code, message, fix }) =>
        errorAt(code, at, message, {
          fix: fix === 'run: lkt pin' ? `run: lkt pin ${config.path}` : fix,
        });
      if (packageDir === undefined) {
        queries.push({ text, error, ...(reference === undefined ? {} : { reference }) });
        continue;
      }
      const dir = resolve(dirname(config.absolute), packageDir);
      const other = directories.get(text);
      if (other !== undefined && other !== dir) {
        throw new LktError(
          'UNSUPPORTED',
          `${text} is ${other} in one config and ${dir} in another`,
          {
            fix: 'write one of them as an absolute path',
          },
        );
      }
      directories.set(text, dir);
      queries.push({ text: dir, packageDir: dir, error });
    }
  }
  return { queries, directories };
}
