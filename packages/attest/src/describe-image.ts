import { type Descriptor, fromRaw, type Image, type RawPath, type Store } from '@lkt/oci';
import type { Component, Content } from './component.ts';
import { goContent } from './go-build-info.ts';
import { type InspectedFile, inspectImage } from './inspect-image.ts';
import { layerFiles } from './inspect-layer.ts';

/** An image that a build took from, and what is known of it. */
export interface KnownImage {
  readonly component: Component;
  /** undefined when the store does not have it, as when what was built with it is kept and it is not. */
  readonly image: Image | undefined;
  /** What is in it; undefined when nobody has said, and so the files themselves have to be looked at. */
  contents(): Promise<readonly Content[] | undefined>;
  /** What a file of it belongs to. */
  ownerOf(path: RawPath, size: number): Promise<Component | undefined>;
}

/** What is in an image, and which of the known images that came from. */
export interface Description {
  readonly contents: readonly Content[];
  /** The image whose layers are the lowest of this one. */
  readonly base: KnownImage | undefined;
  /** Those of which files were taken into layers of its own. */
  readonly sources: ReadonlySet<KnownImage>;
  /** What files of its own layers belong to. */
  readonly owners: ReadonlyMap<RawPath, Component>;
}

/**
 * Finds out what an image is made of by reading it: files that a known image has too belong to what they belong to
 * there, Go programs say what is linked into them, apk and dpkg keep databases. Each file is held against the known
 * images by its hash, so it does not matter how it came from one to the other.
 */
export async function describeImage(
  store: Store,
  image: Image,
  known: readonly KnownImage[],
  signal?: AbortSignal,
): Promise<Description> {
  const base = baseOf(image, known);
  const inherited = await base?.contents();
  const covered = inherited === undefined ? 0 : base === undefined ? 0 : depth(base);
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

/** The known image with the most layers of which all are the lowest of `image`. */
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

/** For each file the known image that has it; of several the one that has most of all files. */
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
    for (const layer of unique(from.image?.manifest.layers ?? []))
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

function unique(layers: readonly Descriptor[]): readonly Descriptor[] {
  return [...new Map(layers.map((layer) => [layer.digest, layer])).values()];
}

/** Contents by component, with the paths of each together. */
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
