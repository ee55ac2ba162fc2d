import { dirname, resolve } from 'node:path';
import { familiarReference } from '@lkt/oci';
import type { Package, Workspace } from '@lkt/pkg';
import { imageReferencesOf } from './config/config.ts';
import type { LoadedConfig } from './config/load-config.ts';

/** What an image follows from, as its configs say it. */
export interface ConfigInputs {
  /** The configs with what they include; absolute. */
  readonly files: readonly string[];
  /** The files, directories and patterns that `files` of the configs names; absolute but for those in the home directory. */
  readonly sources: readonly string[];
  /** The packages of the workspace that are in the image, each once, with the config that names it. */
  readonly uses: readonly { readonly package: Package; readonly file: string }[];
  /** Images from elsewhere, as they are named; sorted. */
  readonly foreign: readonly string[];
}

/** Nothing is built, and no pin is checked. @throws LktError NOT_FOUND for a directory that is no package */
export async function configInputs(
  workspace: Workspace,
  { config, files, fileOf }: LoadedConfig,
): Promise<ConfigInputs> {
  const uses = new Map<Package, string>();
  const foreign = new Set<string>();
  for (const { reference, packageDir, at } of imageReferencesOf(config)) {
    const file = fileOf(at).absolute;
    const item =
      reference === undefined
        ? await workspace.packageAt(resolve(dirname(file), packageDir ?? ''))
        : workspace.find(reference);
    if (item !== undefined) uses.set(item, uses.get(item) ?? file);
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
    files: files.map(({ absolute }) => absolute),
    sources: [...new Set(sources)],
    uses: [...uses].map(([item, file]) => ({ package: item, file })),
    foreign: [...foreign].toSorted(),
  };
}
