import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Digest } from '@lkt/core';
import { afterEach, beforeEach, expect } from 'vitest';
import type { FleetController, FleetPass } from '../../src/controller/controller.ts';
import { nameOf } from '../../src/engine/group-name.ts';
import type { FleetEvent } from '../../src/events/event.ts';
import { GcpEngine } from '../../src/providers/gcp/engine.ts';
import { type GcpServer, startGcpServer } from './gcp-server.ts';
import { engineController, passOf, type PassOptions } from './engine-passes.ts';

const NAME = nameOf('shop', 'web');

/** Fields of a fleet.yml of {@link gcpText} beside the image. */
export interface GcpOptions {
  readonly size?: number;
  readonly more?: string;
  readonly settings?: string;
}

/** Returns a fleet.yml with one group. */
export function gcpText(
  image: Digest,
  { size = 3, more = '', settings = '' }: GcpOptions = {},
): string {
  return `version: "1"
name: shop
providers:
  frankfurt: { gcp: { project: shop-1234, zone: europe-west3-a, bucket: images } }
groups:
  web:
    provider: frankfurt
    image: web@${image}
    size: ${size}
    template: { metadata: { hostname: { content: "\${GROUP}" } } }
    gcp: { machineType: e2-small, networkTags: [web]${settings} }
${more}`;
}

/**
 * A server in place of Google's cloud, and an engine that uses it, anew for each test. It rejects
 * what Google documents as invalid: Google's own cloud has not been met.
 */
export class GcpCloud {
  server!: GcpServer;
  engine!: GcpEngine;
  events: FleetEvent[] = [];
  now = 0;
  #dir = '';

  /** Adds the hooks that begin and end it around each test of a file. */
  constructor() {
    beforeEach(async () => {
      this.#dir = await mkdtemp(join(tmpdir(), 'lkt-gcp-'));
      await writeFile(this.disk, Buffer.concat([Buffer.alloc(2 ** 20), Buffer.from('end')]));
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

  /** File of the key of the service account. */
  get key(): string {
    return join(this.#dir, 'key.json');
  }

  /** File of a raw disk, which each image has. */
  get disk(): string {
    return join(this.#dir, 'disk');
  }

  async start(place?: string): Promise<void> {
    this.server = await startGcpServer(place);
    await writeFile(this.key, this.server.key, { mode: 0o600 });
    const [kind = '', name = ''] = (place ?? 'zones/europe-west3-a').split('/');
    const location = kind === 'zones' ? { zone: name } : { region: name };
    this.engine = new GcpEngine(
      { project: 'shop-1234', location, bucket: 'images', endpoint: this.server.endpoint },
      { credentialsFile: this.key, variables: {} },
      () => this.now,
    );
  }

  controller(image: Digest, options: GcpOptions = {}): FleetController {
    const { engine, events, disk } = this;
    const text = gcpText(image, options);
    return engineController({ text, engine, events, disk, now: () => this.now });
  }

  /** Makes a pass of a new controller: it has no state of its own. */
  async pass(image: Digest, options: GcpOptions & PassOptions = {}): Promise<FleetPass> {
    return passOf(this.controller(image, options), options);
  }

  group(): Readonly<Record<string, unknown>> {
    return this.server.groups.get(NAME)?.manager ?? {};
  }

  /** Adds a node of the last template that Google does not get healthy. */
  addFailing(): void {
    const [group] = this.server.groups.values();
    const [template = ''] = [...this.server.templates.keys()].slice(-1);
    const [first] = group?.members ?? [];
    if (first === undefined) throw new Error('no member');
    const { versions } = this.group() as {
      readonly versions: readonly { readonly name?: string }[];
    };
    const version = versions[0]?.name ?? '';
    const failing = { name: 'new-1', template, version, health: 'UNHEALTHY', action: 'VERIFYING' };
    group?.members.push({ ...first, ...failing });
  }
}
