import { dirname, resolve } from 'node:path';
import { LktError } from '@lkt/core';
import type { ImageQuery, Package, ReferenceProblem, Workspace } from '@lkt/pkg';
import { imageReferencesOf, mapReferences } from './config/config.ts';
import { errorAt } from './config/fields.ts';
import type { LoadedConfig } from './config/load-config.ts';
import type { ImageReference } from './config/reference.ts';

/** Returns the images that configs name, and the directory of each `@pkg:DIR`. */
export function queriesOf(loaded: LoadedConfig): {
  queries: readonly ImageQuery[];
  directories: ReadonlyMap<string, string>;
} {
  const { config, fileOf } = loaded;
  const queries: ImageQuery[] = [];
  const directories = new Map<string, string>();
  for (const image of imageReferencesOf(config)) {
    const { text, reference, at } = image;
    const file = fileOf(at);
    const error: ImageQuery['error'] = (problem) => {
      if (image === config.bootLoader) return bootLoaderError(loaded, problem);
      const { code, message, fix, ...rest } = problem;
      return errorAt(code, at, message, {
        ...rest,
        fix: fix === 'run: lkt pin' ? `run: lkt pin ${file.path}` : fix,
      });
    };
    const dir = directoryOf(loaded, image);
    if (dir === undefined) {
      queries.push({ text, error, reference });
      continue;
    }
    const other = directories.get(text);
    if (other !== undefined && other !== dir) {
      throw new LktError('UNSUPPORTED', `${text} is ${other} in one config and ${dir} in another`, {
        fix: 'write one of them as an absolute path',
      });
    }
    directories.set(text, dir);
    queries.push({ text: dir, packageDir: dir, error });
  }
  return { queries, directories };
}

/** Returns an error at the first config: no file names the boot loaders. */
function bootLoaderError(
  { files }: LoadedConfig,
  { code, message, fix, ...rest }: ReferenceProblem,
): LktError {
  const isMissing = code !== 'SIGNATURE_INVALID' && code !== 'PIN_STALE';
  return new LktError(code, `${files[0]?.path}: the boot loaders of the format: ${message}`, {
    ...rest,
    fix: isMissing
      ? 'add the collection lkt to lkt.yml: {source: npm:@lkt/packages}; in a checkout of lkt, run: lkt pkg build tools/boot'
      : fix,
  });
}

/** Returns the directory of an image named as `@pkg:DIR`. */
function directoryOf(
  { fileOf }: LoadedConfig,
  { packageDir, at }: ImageReference,
): string | undefined {
  return packageDir === undefined ? undefined : resolve(dirname(fileOf(at).absolute), packageDir);
}

/**
 * Returns the configs with own packages of the workspace named by directory instead of by pin.
 * Warns of those that are missing, whose pins remain.
 */
export function withSources(loaded: LoadedConfig, workspace: Workspace): LoadedConfig {
  const warnings = [...loaded.warnings];
  const config = mapReferences(loaded.config, (image) => {
    const item = image.reference && workspace.find(image.reference);
    const missing = image.reference && workspace.missingPackage(image.reference);
    if (missing !== undefined && image.reference?.digest !== undefined) {
      const text = `${missing.message}; the image of its pin is used`;
      warnings.push(errorAt('NOT_FOUND', image.at, text).message);
    }
    if (item === undefined || item.collection !== undefined) return image;
    const text = `@pkg:${item.dir}`;
    return { text, full: text, packageDir: item.dir, at: image.at };
  });
  return { ...loaded, config, warnings };
}

/** An image of a config, with the package of the workspace that it names. */
export interface NamedImage {
  readonly image: ImageReference;
  readonly item: Package | undefined;
}

/**
 * Returns the images of a config. Adds packages outside the usual folders to the workspace.
 * @throws LktError NOT_FOUND for a directory without a package
 */
export async function namedImages(
  loaded: LoadedConfig,
  workspace: Workspace,
): Promise<readonly NamedImage[]> {
  return Promise.all(
    imageReferencesOf(loaded.config).map(async (image) => {
      const dir = directoryOf(loaded, image);
      const { reference } = image;
      const item =
        dir === undefined ? reference && workspace.find(reference) : await workspace.packageAt(dir);
      return { image, item };
    }),
  );
}
