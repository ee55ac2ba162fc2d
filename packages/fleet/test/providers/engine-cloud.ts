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
