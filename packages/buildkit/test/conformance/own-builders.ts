import { mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Digest } from '@lkt/core';
import { openStore, type Store } from '@lkt/oci';
import { peerVersions } from '@lkt/testing/remembered';
import { build } from '../../../builder/test/fixture.ts';
import { type Dockerd, startDockerd } from '../dockerd.ts';
import { buildWithLkt } from './lkt-peer.ts';
import { type OwnCase, writeCase } from './own-case.ts';
import { buildkitPeer, type Outcome, type Peer } from './peers.ts';
import { type PeerResult, rememberedPeer } from './remembered-peer.ts';
import { writeStandIns } from './stand-ins.ts';

/** The results of a case. */
export interface Outcomes {
  readonly ours: Outcome;
  readonly theirs: PeerResult;
}

/** Builds own cases with lkt and BuildKit. BuildKit starts for the first case it has not built. */
export class OwnBuilders implements AsyncDisposable {
  readonly #directory: string;
  readonly #store: Store;
  readonly #base: readonly [string, Digest];
  readonly #versions = peerVersions();
  #dockerd: Promise<Dockerd> | undefined;
  #places = 0;

  private constructor(directory: string, store: Store, base: Digest) {
    this.#directory = directory;
    this.#store = store;
    this.#base = ['base', base];
  }

  /** @param directory an empty one, for the store and the contexts */
  static async open(directory: string): Promise<OwnBuilders> {
    const store = await openStore(join(directory, 'store'));
    const [base] = (await writeStandIns(store)).values();
    if (base === undefined) throw new Error('no image stands for base');
    mkdirSync(join(directory, 'case'));
    return new OwnBuilders(directory, store, base);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#dockerd)?.[Symbol.asyncDispose]();
  }

  async build(item: OwnCase): Promise<Outcomes> {
    // A case that is repeated has another place.
    const place = join(this.#directory, 'case', String((this.#places += 1)));
    const written = await writeCase(item, join(place, 'context'));
    const path = join(this.#directory, 'store');
    const images = new Map([this.#base]);
    for (const [name, lines] of Object.entries(item.images ?? {})) {
      const { descriptor } = await build(path, `${lines.join('\n')}\n`, { bases: new Map(images) });
      images.set(name, descriptor.digest);
    }
    const buildkit: Peer = async (...words) => {
      this.#dockerd ??= startDockerd(join(this.#directory, 'docker'));
      return buildkitPeer((await this.#dockerd).environment, path, images)(...words);
    };
    // BuildKit caches a context by the name of its directory.
    const peer = join(place, `own-${basename(place)}`);
    mkdirSync(peer);
    const [ours, theirs] = await Promise.all([
      buildWithLkt(written, this.#store, path, images),
      rememberedPeer('buildkit', buildkit, this.#versions, images)(written, peer),
    ]);
    return { ours, theirs };
  }
}
