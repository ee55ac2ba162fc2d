import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Digest } from '@lkt/core';
import { afterEach, beforeEach, expect } from 'vitest';
import type { FleetController, FleetPass } from '../../src/controller/controller.ts';
import type { Engine } from '../../src/engine/engine.ts';
import type { FleetEvent } from '../../src/events/event.ts';
import { engineController, passOf, type PassOptions } from './engine-passes.ts';
import type { JsonServer } from './json-server.ts';

/** Lines of the group `web` of a fleet.yml beside its image. */
export interface GroupOptions {
  readonly size?: number;
  /** Further lines of the group. */
  readonly more?: string;
}

/** A server in place of a cloud, and the engine that uses it, anew for each test of a file. */
export abstract class EngineCloud<
  S extends JsonServer,
  E extends Engine,
  O extends GroupOptions = GroupOptions,
> {
  server!: S;
  engine!: E;
  events: FleetEvent[] = [];
  now = 0;
  #dir = '';

  /** @param disk bytes of the disk that each image has */
  constructor(disk: Uint8Array) {
    beforeEach(async () => {
      this.#dir = await mkdtemp(join(tmpdir(), 'lkt-engine-'));
      await writeFile(this.disk, disk);
      this.events = [];
      this.now = Date.now();
      await this.start();
    });
    afterEach(async () => {
      await this.engine[Symbol.asyncDispose]();
      await this.server[Symbol.asyncDispose]();
      await rm(this.#dir, { recursive: true });
      expect(this.server.problems).toEqual([]);
    });
  }

  /** Starts the server, and opens the engine. */
  abstract start(place?: string): Promise<void>;

  /** Returns a fleet.yml with one group. */
  abstract text(image: Digest, options?: O): string;

  /** Returns the path of a file that ends with the test. */
  file(name: string): string {
    return join(this.#dir, name);
  }

  /** File of a raw disk, which each image has. */
  get disk(): string {
    return this.file('disk');
  }

  controller(image: Digest, options?: O): FleetController {
    const { engine, events, disk } = this;
    const text = this.text(image, options);
    return engineController({ text, engine, events, disk, now: () => this.now });
  }

  /** Makes a pass of a new controller: it has no state of its own. */
  async pass(image: Digest, options?: O & PassOptions): Promise<FleetPass> {
    return passOf(this.controller(image, options), options ?? {});
  }
}

/** A server that makes changes later, and names those that were asked for. */
interface SettlingServer extends JsonServer {
  settle(): void;
  changes(): readonly string[];
}

/**
 * Expects that an image is listed as unused beside that of the group, and that its removal makes
 * these requests.
 * @param created by the clock of the server
 */
export async function expectRemoval(
  cloud: EngineCloud<SettlingServer, Engine>,
  [used, unused]: readonly [Digest, Digest],
  created: string,
  requests: readonly string[],
): Promise<void> {
  const { server, disk: path } = cloud;
  const { images } = cloud.engine;
  if (images === undefined) throw new Error('the engine keeps no images');
  await cloud.pass(used);
  server.settle();
  const options = { generation: 1, signal: AbortSignal.timeout(60_000) };
  const files = { kind: 'disk', format: 'raw', firmware: 'efi', path } as const;
  await cloud.engine.prepare({ digest: unused, files }, options);
  const [first, second] = await images.list(options);
  if (first === undefined || second === undefined) throw new Error('an image is not listed');
  expect([first.digest, second.digest]).toEqual([used, unused]);
  expect(new Date(second.created).toISOString()).toBe(created);
  expect(await images.isUsed(first, options)).toBe(true);
  expect(await images.isUsed(second, options)).toBe(false);
  server.changes();
  for (let times = 0; times < 2; times += 1) await images.remove(second, options);
  expect(server.changes()).toEqual(requests);
  expect(new Set((await images.list(options)).map(({ digest }) => digest))).toEqual(
    new Set([used]),
  );
}
