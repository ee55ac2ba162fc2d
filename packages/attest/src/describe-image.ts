import { canonicalJson, uniqueBy } from '@lkt/core';
import { fromRaw, type Image, type RawPath, type Store } from '@lkt/oci';
import { type Component, componentsIn, type Content, type Part } from './component.ts';
import { goContent, type GoSuppliers, mergeSuppliers } from './go-content.ts';
import {
  type BaseImage,
  type InspectedFile,
  type InspectOptions,
  inspectImage,
} from './inspect-image.ts';
import { inspectLayer, layerFiles } from './inspect-layer.ts';
import { kernelComponent } from './kernel-component.ts';
import {
  isStaticLibrary,
  LinkedCode,
  libraryPatterns,
  linkedLibraries,
} from './static-libraries.ts';

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
  /** Returns further components of the image, which only SBOMs of others list. */
  claimed?(): Promise<readonly Component[]>;
  /**
   * Returns the component that owns a file of the image. `size` is in bytes. Absent for an image
   * that was built elsewhere.
   */
  ownerOf?(path: RawPath, size: number): Promise<Component | undefined>;
  /** Returns the Debian packages in the image that have Go sources. */
  goSuppliers(): Promise<GoSuppliers>;
  /** Debian source packages in the image, as tarballs. */
  readonly sourcePackages: readonly Component[];
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
  /**
   * Source packages from which the build compiled files, if it is unknown which file came from
   * which.
   */
  readonly compiledFrom: readonly Component[];
}

/**
 * Returns the contents of an image, read from its files.
 *
 * A file whose SHA-256 equals that of a file in a known image belongs to the same component, under
 * any path. Go programs list the modules linked into them, or the source files; known images have
 * the packages with these. The databases of apk and dpkg list installed packages. Static libraries
 * in known images are linked into a program that has machine code of their functions.
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
  options: InspectOptions = {},
): Promise<Description> {
  const { signal } = options;
  const base = baseOf(image, known);
  const inherited = await base?.contents();
  const found = await inspectImage(store, image, baseImage(base, inherited), options);
  const contents = new Contents();
  for (const content of inherited ?? []) contents.add(content);
  for (const component of found.installed) contents.add({ component });
  const files = [...found.inherited, ...found.files];
  const matches = new Map([
    ...(base === undefined
      ? []
      : found.inherited.map((file) => [file, { from: base, path: file.path }] as const)),
    ...(await matchFiles(store, found.files, known, signal)),
  ]);
  const sources = new Set<KnownImage>();
  const owners = new Map<RawPath, Component>();
  const partsOf = partsReader();
  const compiled = uniqueBy(
    known.flatMap(({ sourcePackages }) => sourcePackages),
    ({ purl = '' }) => purl,
  );
  const made = files.filter((file) => file.isElf === true && !matches.has(file));
  const libraries = await librariesIn(store, image, made, known, signal);
  let isCompiled = false;
  for (const file of files) {
    const match = matches.get(file);
    if (match !== undefined) sources.add(match.from);
    if (match === undefined && file.isElf === true && file.go === undefined) isCompiled = true;
    const linked = (libraries.get(file.path) ?? []).map((component) => ({
      component,
      relation: 'STATIC_LINK' as const,
    }));
    const content =
      (match && (await ownedContent(file, match, partsOf))) ??
      (file.go && goContent(file.go, fromRaw(file.path), await goSuppliers(match, known))) ??
      compiledContent(file, match === undefined ? compiled : []);
    if (content === undefined) {
      for (const part of linked) contents.add({ ...part, paths: [fromRaw(file.path)] });
      continue;
    }
    contents.add({ ...content, parts: [...(content.parts ?? []), ...linked] });
    owners.set(file.path, content.component);
  }
  const compiledFrom = isCompiled && compiled.length > 1 ? compiled : [];
  const listed = new Set(componentsIn(contents.all()).map(({ purl }) => purl));
  const claimed = ((await base?.claimed?.()) ?? []).filter(({ purl }) => !listed.has(purl));
  for (const component of claimed) contents.add({ component });
  return { contents: contents.all(), base, sources, owners, compiledFrom };
}

/**
 * Returns what `inspectImage` needs of the base image. The files of one with known owners count as
 * the image's own if its contents are unknown.
 */
function baseImage(
  base: KnownImage | undefined,
  contents: readonly Content[] | undefined,
): BaseImage | undefined {
  if (base?.image === undefined) return undefined;
  const isDescribed = contents !== undefined;
  if (!isDescribed && base.ownerOf !== undefined) return undefined;
  return { image: base.image, isDescribed };
}

/** Returns the components whose static libraries are linked into programs, by their paths. */
async function librariesIn(
  store: Store,
  image: Image,
  programs: readonly InspectedFile[],
  known: readonly KnownImage[],
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<RawPath, readonly Component[]>> {
  if (programs.length === 0) return new Map();
  const libraries: (readonly [Component, readonly string[]])[] = [];
  for (const one of known) {
    if (one.image === undefined || one.ownerOf === undefined) continue;
    const owners = new Map<string, Component>();
    for (const layer of one.image.manifest.layers)
      for (const { path, size, hash } of await inspectLayer(store, layer, signal)) {
        if (hash === undefined || !isStaticLibrary({ path, size })) continue;
        const owner = await one.ownerOf(path, size);
        if (owner !== undefined) owners.set(hash, owner);
      }
    if (owners.size === 0) continue;
    const patterns = await libraryPatterns(store, one.image, new Set(owners.keys()), signal);
    for (const [hash, owner] of owners) libraries.push([owner, patterns.get(hash) ?? []]);
  }
  if (libraries.length === 0) return new Map();
  const paths = new Set(programs.map(({ path }) => path));
  return linkedLibraries(store, image, paths, new LinkedCode(libraries), signal);
}

/**
 * Returns the content for a kernel or another compiled file that no known image has: it was
 * compiled from the source packages of these images. With several of them, it is unknown which
 * program came from which.
 */
function compiledContent(
  { path, kernel, isElf = false }: InspectedFile,
  sources: readonly Component[],
): Content | undefined {
  if (kernel !== undefined) {
    const parts = sources.map((component) => ({ component }));
    return { component: kernelComponent(kernel), paths: [fromRaw(path)], parts };
  }
  const [component, ...others] = sources;
  if (!isElf || component === undefined || others.length > 0) return undefined;
  return { component, paths: [fromRaw(path)] };
}

/** Returns the content for a file that a component of a known image owns. */
async function ownedContent(
  { path, size, go, kernel }: InspectedFile,
  match: Match,
  partsOf: PartsReader,
): Promise<Content | undefined> {
  const component = await match.from.ownerOf?.(match.path, size);
  if (component === undefined) return undefined;
  const listed = await partsOf(match.from, component);
  // A program that lkt built was described with its image. A distribution's compiler had other
  // sources than any image here.
  const linked =
    go === undefined || component.kind === 'go' ? [] : goContent(go, '', new Map()).parts;
  const packaged =
    kernel === undefined || component.kind === 'kernel'
      ? []
      : [{ component: kernelComponent(kernel) }];
  return {
    component,
    paths: [fromRaw(path)],
    parts: [...listed, ...(linked ?? []), ...packaged],
  };
}

/** Returns the parts of a component of an image. */
type PartsReader = (image: KnownImage, component: Component) => Promise<readonly Part[]>;

function partsReader(): PartsReader {
  const known = new Map<KnownImage, ReadonlyMap<string, readonly Part[]>>();
  return async (image, component) => {
    const parts =
      known.get(image) ??
      new Map(
        ((await image.contents()) ?? []).map((content) => [
          canonicalJson(content.component),
          content.parts ?? [],
        ]),
      );
    known.set(image, parts);
    return parts.get(canonicalJson(component)) ?? [];
  };
}

/**
 * Returns the packages with which a program can have been compiled: of the image from which it was
 * copied, or else of all images of the build.
 */
async function goSuppliers(
  match: Match | undefined,
  known: readonly KnownImage[],
): Promise<GoSuppliers> {
  const all: GoSuppliers[] = [];
  for (const image of match === undefined ? known : [match.from])
    all.push(await image.goSuppliers());
  return mergeSuppliers(all);
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
    const { component, relation } = content;
    const key = canonicalJson([relation ?? 'CONTAINS', component]);
    const other = this.#all.get(key);
    const paths = [...(other?.paths ?? []), ...(content.paths ?? [])];
    const isWhole =
      other !== undefined && (other.paths === undefined || content.paths === undefined);
    this.#all.set(key, {
      component,
      ...(relation !== undefined && { relation }),
      paths: isWhole || paths.length === 0 ? undefined : paths,
      parts: [...(other?.parts ?? []), ...(content.parts ?? [])],
    });
  }

  all(): readonly Content[] {
    return [...this.#all.values()];
  }
}
