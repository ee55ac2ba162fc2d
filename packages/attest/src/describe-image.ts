import { uniqueBy } from '@lkt/core';
import { fromRaw, type Image, type RawPath, type Store } from '@lkt/oci';
import type { Component, Content } from './component.ts';
import { goContent } from './go-build-info.ts';
import { type InspectedFile, inspectImage } from './inspect-image.ts';
import { layerFiles } from './inspect-layer.ts';

/** An image that a build used: the base image of a stage, or the source of a `COPY --from`. */
export interface KnownImage {
  readonly component: Component;
  /**
   * Undefined when the store no longer has the image, for instance because the build was cached.
   */
  readonly image: Image | undefined;
  /**
   * Returns the contents of the image, or undefined if they are unknown: then its files are
   * inspected.
   */
  contents(): Promise<readonly Content[] | undefined>;
  /** Returns the component that owns a file of the image. `size` is in bytes. */
  ownerOf(path: RawPath, size: number): Promise<Component | undefined>;
}

/** The contents of an image and the known images that they came from. */
export interface Description {
  readonly contents: readonly Content[];
  /** The known image whose layers are the lowest layers of this one. */
  readonly base: KnownImage | undefined;
  /** Known images whose files are in the image's own layers. */
  readonly sources: ReadonlySet<KnownImage>;
  /** Components that own files of the image's own layers. */
  readonly owners: ReadonlyMap<RawPath, Component>;
}

/**
 * Returns the contents of an image, read from its files.
 *
 * A file whose SHA-256 equals that of a file in a known image belongs to the same component, under
 * whatever path. Go programs list the modules linked into them. The databases of apk and dpkg list
 * installed packages.
 * @throws ARCHIVE_INVALID, NOT_FOUND, DIGEST_MISMATCH
 * @example
 * ```ts
 * const { contents, base, sources } = await describeImage(store, image, known);
 * const taken = [...sources].map(({ component }) => component);
 * ```
 */
export async function describeImage(
  store: Store,
  image: Image,
  known: readonly KnownImage[],
  signal?: AbortSignal,
): Promise<Description> {
  const base = baseOf(image, known);
  const inherited = await base?.contents();
  const covered = inherited === undefined || base === undefined ? 0 : depth(base);
  const { files, installed } = await inspectImage(store, image, covered, signal);
  const contents = new Contents();
  for (const content of inherited ?? []) contents.add(content);
  for (const component of installed) contents.add({ component });
  const matches = await matchFiles(store, files, known, signal);
  const sources = new Set<KnownImage>();
  const owners = new Map<RawPath, Component>();
  for (const file of files) {
    const match = matches.get(file);
    const owner = await match?.from.ownerOf(match.path, file.size);
    if (match !== undefined) sources.add(match.from);
    const path = fromRaw(file.path);
    if (owner !== undefined) {
      contents.add({ component: owner, paths: [path] });
      owners.set(file.path, owner);
    } else if (file.go !== undefined) {
      const content = goContent(file.go, path);
      contents.add(content);
      owners.set(file.path, content.component);
    }
  }
  return { contents: contents.all(), base, sources, owners };
}

/** Returns the known image with the most layers, among those whose layers all begin `image`. */
function baseOf(image: Image, known: readonly KnownImage[]): KnownImage | undefined {
  const own = image.manifest.layers;
  return known
    .filter(({ image: other }) => {
      const layers = other?.manifest.layers ?? [];
      return (
        layers.length > 0 && layers.every(({ digest }, index) => own[index]?.digest === digest)
      );
    })
    .toSorted((a, b) => depth(b) - depth(a))[0];
}

function depth({ image }: KnownImage): number {
  return image?.manifest.layers.length ?? 0;
}

interface Match {
  readonly from: KnownImage;
  readonly path: RawPath;
}

/**
 * Maps each file to the known image that has it; if several do, to the one with the most matches.
 */
async function matchFiles(
  store: Store,
  files: readonly InspectedFile[],
  known: readonly KnownImage[],
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<InspectedFile, Match>> {
  const wanted = new Set(files.map(({ hash }) => hash));
  const found: { readonly from: KnownImage; readonly paths: ReadonlyMap<string, RawPath> }[] = [];
  for (const from of wanted.size === 0 ? [] : known) {
    const paths = new Map<string, RawPath>();
    const { layers = [] } = from.image?.manifest ?? {};
    for (const layer of uniqueBy(layers, ({ digest }) => digest))
      for (const { hash, path } of await layerFiles(store, layer, wanted, signal))
        paths.set(hash, path);
    if (paths.size > 0) found.push({ from, paths });
  }
  found.sort((a, b) => b.paths.size - a.paths.size);
  return new Map(
    files.flatMap((file) => {
      for (const { from, paths } of found) {
        const path = paths.get(file.hash);
        if (path !== undefined) return [[file, { from, path }] as const];
      }
      return [];
    }),
  );
}

/** Collects contents by component and joins the paths of each. */
class Contents {
  readonly #all = new Map<string, Content>();

  add(content: Content): void {
    const key = JSON.stringify(content.component);
    const other = this.#all.get(key);
    const paths = [...(other?.paths ?? []), ...(content.paths ?? [])];
    const isWhole =
      other !== undefined && (other.paths === undefined || content.paths === undefined);
    this.#all.set(key, {
      component: content.component,
      paths: isWhole || paths.length === 0 ? undefined : paths,
      parts: [...(other?.parts ?? []), ...(content.parts ?? [])],
    });
  }

  all(): readonly Content[] {
    return [...this.#all.values()];
  }
}
