import { mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Digest } from '@lkt/core';
import { openStore, type Store } from '@lkt/oci';
import { peerVersions } from '@lkt/testing/remembered';
import { build, scratch } from '../../../builder/test/fixture.ts';
import { type Dockerd, startDockerd } from '../dockerd.ts';
import { buildWithLkt } from './lkt-peer.ts';
import { type OwnCase, writeCase } from './own-case.ts';
import { buildkitPeer, type Outcome, type Peer } from './peers.ts';
import { type PeerResult, rememberedPeer } from './remembered-peer.ts';
import { writeStandIns } from './stand-ins.ts';

type Scratch = ReturnType<typeof scratch>;

/** The results of a case. */
export interface Outcomes {
  readonly ours: Outcome;
  readonly theirs: PeerResult;
}

/** Builds own cases with lkt and BuildKit. BuildKit starts for the first case it has not built. */
export class OwnBuilders implements AsyncDisposable {
  readonly #scratch: Scratch;
  readonly #store: Store;
  readonly #base: readonly [string, Digest];
  readonly #versions = peerVersions();
  #dockerd: Promise<Dockerd> | undefined;
  #places = 0;

  private constructor(place: Scratch, store: Store, base: Digest) {
    this.#scratch = place;
    this.#store = store;
    this.#base = ['base', base];
  }

  static async open(): Promise<OwnBuilders> {
    const place = scratch();
    const store = await openStore(join(place.path, 'store'));
    const [base] = (await writeStandIns(store)).values();
    if (base === undefined) throw new Error('no image stands for base');
    mkdirSync(join(place.path, 'case'));
    return new OwnBuilders(place, store, base);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#dockerd)?.[Symbol.asyncDispose]();
    this.#scratch[Symbol.dispose]();
  }

  async build(item: OwnCase): Promise<Outcomes> {
    // A case that is repeated has another place.
    const place = join(this.#scratch.path, 'case', String((this.#places += 1)));
    const written = await writeCase(item, join(place, 'context'));
    const path = join(this.#scratch.path, 'store');
    const images = new Map([this.#base]);
    for (const [name, lines] of Object.entries(item.images ?? {})) {
      const { descriptor } = await build(path, `${lines.join('\n')}\n`, { bases: new Map(images) });
      images.set(name, descriptor.digest);
    }
    const buildkit: Peer = async (...words) => {
      this.#dockerd ??= startDockerd(join(this.#scratch.path, 'docker'));
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
