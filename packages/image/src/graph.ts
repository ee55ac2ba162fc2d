import { relative } from 'node:path';
import { type Digest, LktError } from '@lkt/core';
import { familiarReference, loadImage, type Platform, type Reference, type Store } from '@lkt/oci';
import {
  type ActionInputs,
  type BuildOptions,
  type Package,
  type PackageState,
  packageStates,
  type PinState,
  pinOf,
  pinState,
  storeState,
  type UsedImage,
  type Workspace,
} from '@lkt/pkg';
import {
  type ConfigFile,
  inputStates,
  loadConfig,
  type LoadOptions,
} from './config/load-config.ts';
import { imageInputs } from './image-inputs.ts';
import { type NamedImage, namedImages } from './queries.ts';

const DEFAULT_PLATFORM: Platform = { os: 'linux', architecture: 'amd64' };

/**
 * A node of the graph: a package of the checkout, an external image (`base`), or an image config.
 */
export interface GraphNode {
  /** Unique: `org/image`, the reference of a base as written, or the path of a config. */
  readonly name: string;
  readonly kind: 'package' | 'base' | 'image';
  /** Directory of a package, relative to the top of the checkout. */
  readonly dir?: string;
  readonly platforms?: readonly string[];
  /** Current reference of a built package. */
  readonly reference?: string;
  /**
   * Package: its current sources are built, or it is `pulled`. Base: it is in the store. Image: all
   * its inputs are in the store.
   */
  readonly built: boolean;
  /** The store has the pinned image of a package of a collection, and its sources are not built. */
  readonly pulled?: true;
  /**
   * Base: it is named by digest. Package or image: each of its references has a digest, or names a
   * package by its directory.
   */
  readonly pinned: boolean;
  /** A reference pins an earlier state of a package; builds fail until `lkt pin`. */
  readonly stale: boolean;
  /** The store has a signature of it. `lkt verify` checks the signer. */
  readonly signed: boolean;
  /**
   * Compressed bytes of its layers for the first platform; of a config, of all images that it names
   * and the store has. Undefined if the store has none.
   */
  readonly size?: number;
}

/** A dependency between two nodes. */
export interface GraphEdge {
  readonly from: string;
  readonly to: string;
  /**
   * `image`: named by a Dockerfile or config; `archive`: copied into the build context; `sources`:
   * files of its directory are.
   */
  readonly as: 'image' | 'archive' | 'sources';
  readonly pin: PinState;
  /** `FILE:LINE` of the first use. */
  readonly place: string;
}

/** Nodes and edges, sorted by name. */
export interface Graph {
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
}

/**
 * Returns the dependency graph and the build status of a checkout and image configs. Builds and
 * pulls nothing.
 * @returns the graph, and the files read, for the action cache; `inputs` is undefined if something
 * is not built yet, which may change without a change of the inputs
 * @throws LktError for a file with an error; a stale or missing pin is part of the graph
 */
export async function readGraph(
  workspace: Workspace,
  configs: readonly ConfigFile[],
  options: BuildOptions,
  load: LoadOptions = {},
): Promise<{ readonly graph: Graph; readonly inputs: ActionInputs | undefined }> {
  const before = storeState(options.store);
  const files = new Map<string, string>();
  const images: ConfigImages[] = [];
  for (const config of configs) {
    const loaded = await loadConfig([config], load);
    for (const [path, state] of inputStates(loaded)) files.set(path, state);
    images.push({ path: config.path, named: await namedImages(loaded, workspace) });
  }
  const inConfigs = images.flatMap(({ named }) => named.flatMap(({ item }) => item ?? []));
  const ofCollections = inConfigs.filter(({ collection }) => collection !== undefined);
  const { states: packages, hashes } = await packageStates(workspace, options, ofCollections);
  const nodes = new Map(packages.map((node) => [node.item, node]));
  const { store } = options;
  const builder = new GraphBuilder(
    store,
    options.platforms?.[0] ?? DEFAULT_PLATFORM,
    await signedImages(store),
  );
  const configUses = await Promise.all(
    images.map(async ({ named }) => usesOfConfig(named, nodes, store)),
  );
  const pulled = await pulledDigests(
    [...packages, ...configUses.map((uses) => ({ uses }))],
    nodes,
    store,
  );
  for (const { item, uses, built } of packages) {
    const digest = pulled.get(item);
    const digests =
      built === undefined ? [] : [built.index, ...built.images].map((one) => one.digest);
    const reference = built && pinOf(built);
    await builder.add(uses, {
      name: item.name,
      kind: 'package',
      dir: relative(workspace.root, item.dir) || '.',
      platforms: item.arches.map((arch) => `linux/${arch}`),
      reference,
      built: built !== undefined || digest !== undefined,
      ...(digest !== undefined && { pulled: true }),
      signed: [...digests, ...(digest === undefined ? [] : [digest])].some((one) =>
        builder.isSigned(one),
      ),
      size: await builder.sizeOf(built?.index.digest ?? digest),
    });
  }
  for (const [index, { path }] of images.entries()) {
    const uses = configUses[index] ?? [];
    const digests = uses.map(({ package: item, reference }) =>
      item === undefined
        ? reference?.digest
        : (nodes.get(item)?.built?.index.digest ?? pulled.get(item)),
    );
    const isStored = await Promise.all(
      digests.map(async (digest) => digest !== undefined && store.has(digest)),
    );
    const sizes: number[] = [];
    for (const digest of new Set(digests)) sizes.push((await builder.sizeOf(digest)) ?? 0);
    const size = sizes.reduce((sum, one) => sum + one, 0);
    await builder.add(uses, {
      name: path,
      kind: 'image',
      built: isStored.every(Boolean),
      signed: false,
      size: size === 0 ? undefined : size,
    });
  }
  const graph = builder.graph();
  const isTracked = configs.every(({ isRemote }) => isRemote !== true);
  if (!isTracked || !graph.nodes.every(({ built }) => built)) return { graph, inputs: undefined };
  const read = new Map([...before, ...files]);
  return { graph, inputs: imageInputs(workspace, hashes, store, read) };
}

interface Use extends Omit<UsedImage, 'reference'> {
  /** Undefined for a package named by its directory. */
  readonly reference: Reference | undefined;
}

interface ConfigImages {
  readonly path: string;
  readonly named: readonly NamedImage[];
}

type PackageNodes = ReadonlyMap<Package, PackageState>;

async function usesOfConfig(
  named: readonly NamedImage[],
  nodes: PackageNodes,
  store: Store,
): Promise<readonly Use[]> {
  return Promise.all(
    named.map(async ({ image: { reference, at }, item }) => {
      const pin =
        reference === undefined
          ? 'current'
          : await pinState(reference, item && nodes.get(item), store);
      const place = `${at.file.path}:${at.position.line}`;
      return { as: 'image', place, reference, package: item, pin };
    }),
  );
}

/** Returns the pinned images of packages of collections that the store has without a build. */
async function pulledDigests(
  users: readonly { readonly uses: readonly Use[] }[],
  nodes: PackageNodes,
  store: Store,
): Promise<ReadonlyMap<Package, Digest>> {
  const pulled = new Map<Package, Digest>();
  for (const { package: item, reference, pin } of users.flatMap(({ uses }) => uses)) {
    if (item?.collection === undefined || pin !== 'pinned') continue;
    if (nodes.get(item)?.built !== undefined || reference?.digest === undefined) continue;
    if (await store.has(reference.digest)) pulled.set(item, reference.digest);
  }
  return pulled;
}

/** Returns the images that have a signature in the store. */
async function signedImages(store: Store): Promise<ReadonlySet<Digest>> {
  const { isSignature } = await import('@lkt/sign');
  const referrers = await store.allReferrers();
  return new Set(
    [...referrers].flatMap(([subject, items]) => (items.some(isSignature) ? [subject] : [])),
  );
}

class GraphBuilder {
  readonly #store: Store;
  readonly #platform: Platform;
  readonly #signed: ReadonlySet<Digest>;
  readonly #nodes = new Map<string, GraphNode>();
  readonly #edges = new Map<string, GraphEdge>();

  constructor(store: Store, platform: Platform, signed: ReadonlySet<Digest>) {
    this.#store = store;
    this.#platform = platform;
    this.#signed = signed;
  }

  isSigned(digest: Digest): boolean {
    return this.#signed.has(digest);
  }

  /** Returns the compressed bytes of an image's layers; undefined if the store lacks the image. */
  async sizeOf(digest: Digest | undefined): Promise<number | undefined> {
    if (digest === undefined || !(await this.#store.has(digest))) return undefined;
    try {
      const { manifest } = await loadImage(this.#store, digest, this.#platform);
      return manifest.layers.reduce((sum, { size }) => sum + size, 0);
    } catch (error) {
      // The image may have other platforms, or not be whole.
      if (error instanceof LktError) return undefined;
      throw error;
    }
  }

  /** Adds a node with its dependencies. */
  async add(uses: readonly Use[], node: Omit<GraphNode, 'pinned' | 'stale'>): Promise<void> {
    const pinned = uses.every(({ pin }) => pin !== 'missing');
    const stale = uses.some(({ pin }) => pin === 'stale');
    const { signed, size, ...rest } = node;
    this.#nodes.set(node.name, { ...rest, pinned, stale, signed, size });
    for (const { as, pin, place, reference, package: item } of uses) {
      const to = item?.name ?? (reference === undefined ? '' : familiarReference(reference));
      if (item === undefined) await this.#addBase(to, reference?.digest);
      const key = [node.name, to, as].join(' ');
      const known = this.#edges.get(key);
      if (known === undefined || WORSE.indexOf(pin) > WORSE.indexOf(known.pin))
        this.#edges.set(key, { from: node.name, to, as, pin, place });
    }
  }

  async #addBase(name: string, digest: Digest | undefined): Promise<void> {
    if (this.#nodes.has(name)) return;
    const isStored = digest !== undefined && (await this.#store.has(digest));
    this.#nodes.set(name, {
      name,
      kind: 'base',
      built: isStored,
      pinned: digest !== undefined,
      stale: false,
      signed: digest !== undefined && this.isSigned(digest),
      size: await this.sizeOf(digest),
    });
  }

  graph(): Graph {
    return { nodes: sorted(this.#nodes), edges: sorted(this.#edges) };
  }
}

/** Pin states by severity; an edge shows the worst. */
const WORSE: readonly PinState[] = ['current', 'pinned', 'stale', 'missing'];

function sorted<T>(items: ReadonlyMap<string, T>): readonly T[] {
  return [...items].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, item]) => item);
}
