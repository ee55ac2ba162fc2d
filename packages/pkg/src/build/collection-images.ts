import { LktError } from '@lkt/core';
import {
  familiarReference,
  formatPlatform,
  formatReference,
  parseReference,
  type Platform,
  type Reference,
} from '@lkt/oci';
import type { Sources } from '../sources/sources.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';
import type { BuildOptions } from './build-options.ts';
import { hasNamed } from './other-images.ts';

/**
 * Packages of collections that need no build: the store has the pinned image, or the collection's
 * registry serves exactly that digest and the policies accept it. Each image is looked up once.
 */
export class CollectionImages {
  readonly #workspace: Workspace;
  readonly #sources: Pick<Sources, 'hash'>;
  readonly #options: BuildOptions;
  readonly #found = new Map<string, Promise<boolean>>();

  constructor(workspace: Workspace, sources: Pick<Sources, 'hash'>, options: BuildOptions) {
    this.#workspace = workspace;
    this.#sources = sources;
    this.#options = options;
  }

  /**
   * Reports whether the store has the image that a reference pins, after pulling it if necessary.
   * False for a package of the workspace itself, and for a collection without a registry.
   */
  has(item: Package, reference: Reference, platforms: readonly Platform[]): Promise<boolean> {
    const key = [item.name, familiarReference(reference), ...platforms.map(formatPlatform)].join(
      ' ',
    );
    const found = this.#found.get(key) ?? this.#take(item, reference, platforms);
    this.#found.set(key, found);
    return found;
  }

  async #take(
    item: Package,
    { tag, digest }: Reference,
    platforms: readonly Platform[],
  ): Promise<boolean> {
    const { store, fetchImage, hasImage, requireTrusted, reporter, signal } = this.#options;
    const { collection } = item;
    if (collection?.spec.registry === undefined || digest === undefined) return false;
    const { committed } = this.#sources.hash(item);
    // Another tag or digest is not an image of these sources: a build then reports the stale pin.
    if (tag !== committed) return false;
    const published = collection.publishedAs(item)?.digest;
    if (published !== undefined && published !== digest) return false;
    const { domain, path } = parseReference(item.name);
    const own = { domain, path, tag };
    const remote = { ...this.#workspace.locate(own), tag: undefined, digest };
    const warn = (why: string): boolean => {
      const text = `${familiarReference(remote)} is not used, so ${item.name} is built here: ${why}`;
      reporter.emit({ kind: 'warning', text });
      return false;
    };
    // Statements of rebuilders are about the sources that the tag names.
    const refused = await requireTrusted?.({ ...remote, tag }, this.#workspace, item);
    // A refused image in the store may be built here: the build knows.
    if (await hasNamed(store, { ...own, digest }, platforms)) return refused === undefined;
    if (fetchImage === undefined) return false;
    if (refused !== undefined)
      return (await hasImage?.(remote)) === true ? warn(refused.message) : false;
    try {
      await fetchImage(remote, platforms, false);
      const descriptor = await store.resolve(formatReference(remote));
      if (descriptor === undefined) return false;
      await store.tag(formatReference(own), descriptor);
      return true;
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof LktError)) throw error;
      return error.code === 'NOT_FOUND' ? false : warn(error.message);
    }
  }
}
