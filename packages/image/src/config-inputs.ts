import { dirname, resolve } from 'node:path';
import { familiarReference } from '@lkt/oci';
import type { Package, Workspace } from '@lkt/pkg';
import { inputFiles, type LoadedConfig } from './config/load-config.ts';
import { namedImages } from './queries.ts';

/** The inputs that configs name. */
export interface ConfigInputs {
  /** Absolute paths of the configs, their includes and lock files. */
  readonly files: readonly string[];
  /** Files, directories and patterns in `files`; absolute, except in the home directory. */
  readonly sources: readonly string[];
  /** Workspace packages in the image, each once, with the config that names it. */
  readonly uses: readonly { readonly package: Package; readonly file: string }[];
  /** References of external images, sorted. */
  readonly foreign: readonly string[];
}

/**
 * Returns the inputs of loaded configs. Builds nothing and checks no pins.
 * @throws LktError NOT_FOUND for a directory without a package
 */
export async function configInputs(
  workspace: Workspace,
  loaded: LoadedConfig,
): Promise<ConfigInputs> {
  const { config, fileOf } = loaded;
  const uses = new Map<Package, string>();
  const foreign = new Set<string>();
  for (const { image, item } of await namedImages(loaded, workspace)) {
    const { reference, at } = image;
    if (item !== undefined) uses.set(item, uses.get(item) ?? fileOf(at).absolute);
    else if (reference !== undefined) foreign.add(familiarReference(reference));
  }
  const sources = config.files.flatMap(({ content }) =>
    content.kind !== 'source'
      ? []
      : content.source.startsWith('~')
        ? [content.source]
        : [resolve(dirname(fileOf(content.at).absolute), content.source)],
  );
  return {
    files: inputFiles(loaded).map(({ absolute }) => absolute),
    sources: [...new Set(sources)],
    uses: [...uses].map(([item, file]) => ({ package: item, file })),
    foreign: [...foreign].toSorted(),
  };
}
