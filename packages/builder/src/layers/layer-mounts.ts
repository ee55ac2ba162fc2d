import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Digest, digestOf, LktError } from '@lkt/core';
import { removeTree } from '@lkt/oci';
import type { Layers, LayerRef } from './layers.ts';
import type { WorkerContext } from '../worker/worker-context.ts';
import type { CreateOptions } from './create-entry.ts';
import { type LayerDir, Overlays, type UpperMount } from './overlay.ts';
import { removeSmallTree } from './small-tree.ts';
import { unpackLayer } from './unpack-layer.ts';

/** Parts of a worker context. `temp` becomes the working directory of the process. */
type LayerMountsParts = Pick<WorkerContext, 'store' | 'layers' | 'temp' | 'signal'> &
  Pick<CreateOptions, 'canMakeDevices'>;

/**
 * Mounts file systems of layers with overlayfs. Unpacks layers that have no directory yet, once.
 */
export class LayerMounts {
  readonly #parts: LayerMountsParts;
  readonly #overlays: Overlays;
  readonly #unpacked = new Map<Digest, Promise<void>>();
  readonly #lower = new Map<string, Promise<string>>();
  readonly #removing = new Set<Promise<void>>();
  #count = 0;

  constructor(parts: LayerMountsParts) {
    this.#parts = parts;
    this.#overlays = new Overlays(parts.temp);
  }

  /** Unmounts everything. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#removing);
    this.#overlays.unmountAll();
  }

  /** Returns the merged, read-only file system of layers; mounted once. */
  async lower(layers: Layers): Promise<string> {
    const key = layers.map(({ diffId }) => diffId).join();
    let mounted = this.#lower.get(key);
    if (mounted === undefined) {
      mounted = (async () => {
        const dirs = await this.#dirs(layers);
        return dirs.length === 0
          ? this.#overlays.empty
          : this.#overlays.mountLower(this.name(), dirs);
      })();
      this.#lower.set(key, mounted);
    }
    return mounted;
  }

  /** Mounts layers with an empty upper directory. */
  async upper(layers: Layers): Promise<UpperMount> {
    const lower = await this.lower(layers);
    return this.#overlays.mountUpper(this.name(), await this.#dirs(layers), lower);
  }

  /**
   * Unmounts a file system that is no longer read. Its directories must not be moved before this
   * settles.
   */
  async unmount({ root }: UpperMount): Promise<void> {
    await this.#overlays.unmountLater(root);
  }

  /** Removes a directory in the background; `close` waits for it. */
  remove(directory: string): void {
    if (removeSmallTree(directory)) return;
    const removing = removeTree(directory).finally(() => this.#removing.delete(removing));
    this.#removing.add(removing);
    // The parent's removal deletes the rest.
    removing.catch(() => undefined);
  }

  /** Returns an unused name in the directory. */
  name(): string {
    this.#count += 1;
    return String(this.#count);
  }

  async #dirs(layers: Layers): Promise<LayerDir[]> {
    await Promise.all(layers.map(async (layer) => this.#unpack(layer)));
    const filled = layers.filter(({ diffId }) => diffId !== EMPTY_LAYER);
    return filled.map(({ diffId }) => ({ diffId, path: this.#parts.layers.path(diffId) }));
  }

  async #unpack(layer: LayerRef): Promise<void> {
    let unpacked = this.#unpacked.get(layer.diffId);
    if (unpacked === undefined) {
      unpacked = this.#unpackNow(layer);
      this.#unpacked.set(layer.diffId, unpacked);
    }
    return unpacked;
  }

  async #unpackNow(layer: LayerRef): Promise<void> {
    const { layers, temp } = this.#parts;
    const { diffId, descriptor } = layer;
    if (await layers.has(diffId)) return;
    if (descriptor === null) {
      const message = `layer ${diffId} was removed from the store while it was used`;
      throw new LktError('NOT_FOUND', message, { fix: 'build again' });
    }
    const directory = join(temp, this.name());
    mkdirSync(directory, { mode: 0o755 });
    await unpackLayer({ diffId, descriptor }, directory, this.#parts);
    await layers.publish(directory, diffId);
    this.remove(directory);
  }
}

/** The empty archive: the layer of a step that changes nothing. */
const EMPTY_LAYER = digestOf(new Uint8Array(1024));
