import type { Digest } from '@lkt/core';
import type { FleetConfig } from '../config/fleet-yml.ts';
import type { EngineGroup } from '../engine/engine.ts';
import type { FleetEvent } from '../events/event.ts';
import {
  type ImageKeeper,
  type ImageSettings,
  type KeptImage,
  unnamedImages,
} from '../image/kept-images.ts';
import type { Node } from '../node.ts';
import { ProviderError } from '../provider.ts';
import type { GroupPass, PassOptions } from './group-controller.ts';

/** Interval of searches for unused images, in milliseconds. */
const INTERVAL_MS = 3_600_000;

/** The environment of an {@link ImagePruner}. */
export interface PrunerContext {
  readonly fleet: FleetConfig;
  readonly settings: ImageSettings;
  /** By the names of their providers in the file. */
  readonly keepers: ReadonlyMap<string, ImageKeeper>;
  readonly emit: (event: Omit<FleetEvent, 'fleet' | 'time'>) => void;
  readonly now: () => number;
}

/** The nodes that a pass found. */
interface Observed {
  readonly groups: ReadonlyMap<string, GroupPass>;
  readonly orphans: readonly Node[];
}

/** An image that nothing uses or names any more. */
export interface UnusedImage extends KeptImage {
  readonly provider: string;
}

/** Removes images from providers that nothing uses or names. Its memory only saves calls. */
export class ImagePruner {
  readonly #context: PrunerContext;
  readonly #ofEngines = new Set<Digest>();
  #lookedAt = -Infinity;

  constructor(context: PrunerContext) {
    this.#context = context;
  }

  /** Keeps the images that a group at an engine uses, or may return to. */
  note({ runs, earlier, nodes }: EngineGroup): void {
    for (const spec of [runs, earlier, ...nodes.map((node) => node.runs)])
      if (spec !== undefined) this.#ofEngines.add(spec.image);
  }

  /** Returns the images that nothing uses or names after a pass, the oldest of a provider first. */
  async find(pass: Observed, signal: AbortSignal): Promise<readonly UnusedImage[]> {
    const named = this.#named(pass);
    const found: UnusedImage[] = [];
    for (const provider of this.#context.keepers.keys())
      for await (const image of this.#unused(provider, named, signal)) found.push(image);
    return found;
  }

  /**
   * Removes the unused images, at most once an hour. A removal that a provider rejects is an event.
   * @throws ProviderError `fenced`; LktError LEASE_LOST
   */
  async prune(pass: Observed, options: PassOptions): Promise<void> {
    const { keepers, emit } = this.#context;
    if (performance.now() < this.#lookedAt + INTERVAL_MS) return;
    this.#lookedAt = performance.now();
    const named = this.#named(pass);
    for (const [provider, keeper] of keepers)
      try {
        for await (const image of this.#unused(provider, named, options.signal)) {
          options.requireHeld?.();
          await keeper.remove(image, options);
          const { digest, id } = image;
          emit({ kind: 'image removed', image: digest, message: `${provider}: ${id}` });
        }
      } catch (error) {
        if (!(error instanceof ProviderError) || error.failure === 'fenced') throw error;
        emit({ kind: 'error', message: `images of ${provider} stay: ${error.message}` });
      }
  }

  /** Returns the images that the file and nodes name, also those to which these may return. */
  #named({ groups, orphans }: Observed): ReadonlySet<Digest> {
    const named = new Set(this.#ofEngines);
    for (const { image } of this.#context.fleet.groups.values()) named.add(image.digest);
    const nodes = [...groups.values()].flatMap((group) => group.nodes);
    for (const { labels } of [...nodes, ...orphans]) {
      named.add(labels.image);
      if (labels.previous !== undefined) named.add(labels.previous);
    }
    return named;
  }

  async *#unused(
    provider: string,
    named: ReadonlySet<Digest>,
    signal: AbortSignal,
  ): AsyncGenerator<UnusedImage> {
    const { keepers, settings, now } = this.#context;
    const keeper = keepers.get(provider);
    if (keeper === undefined) return;
    const images = await keeper.list({ signal });
    for (const image of unnamedImages(images, named, settings, now()))
      // Another fleet may use it.
      if (!(await keeper.isUsed(image, { signal }))) yield { ...image, provider };
  }
}
