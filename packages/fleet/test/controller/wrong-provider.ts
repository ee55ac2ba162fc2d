import { type Digest, digestOf } from '@lkt/core';
import { expect } from 'vitest';
import { type FleetConfig, parseFleet } from '../../src/config/fleet-yml.ts';
import { FleetController } from '../../src/controller/controller.ts';
import type { FleetEvent } from '../../src/events/event.ts';
import type { ImageKeeper } from '../../src/image/kept-images.ts';
import type { Node } from '../../src/node.ts';
import { type NodeRequest, type Provider, ProviderError } from '../../src/provider.ts';

export const image: Digest = digestOf('image');
export const fleet: FleetConfig = parseFleet({
  path: 'fleet.yml',
  text: `version: "1"
name: shop
providers:
  here: { qemu: {} }
groups:
  web:
    provider: here
    image: web@${image}
    size: 2
    health: { console: up }
    roll: { startupTimeout: 60s }
    template: { metadata: { hostname: { content: "\${NODE} of \${GROUP}" } } }
`,
});

/** Returns a controller that opens no image. */
export function unopened(of: FleetConfig): FleetController {
  return new FleetController({
    fleet: of,
    providers: new Map([['here', new WrongProvider()]]),
    openImage: async () => Promise.reject(new Error('opened')),
    logDir: '/nonexistent',
    onEvent: () => undefined,
  });
}

/** A provider in memory, which answers wrongly on request. */
export class WrongProvider implements Provider {
  capabilities = { fencing: false, console: true, volumes: true, metadata: true };
  nodes: Node[] = [];
  readonly calls: string[] = [];
  readonly requests: NodeRequest[] = [];
  /** The next list, instead of the nodes. */
  answer: readonly Node[] | ProviderError | undefined;
  failure: ProviderError | undefined;

  async prepare(): Promise<string> {
    this.calls.push('prepare');
    return 'image';
  }

  async create(request: NodeRequest): Promise<void> {
    this.calls.push(`create ${request.name}`);
    this.requests.push(request);
    if (this.failure !== undefined) throw this.failure;
    const { name, labels } = request;
    this.nodes.push({
      id: name,
      name,
      power: 'running',
      labels,
      addresses: this.addresses,
      published: this.published,
    });
  }

  /** Where ports of nodes are. */
  published: Node['published'] = new Map();
  addresses: Node['addresses'] = [];

  async destroy(id: string): Promise<void> {
    this.calls.push(`destroy ${id}`);
    this.nodes = this.nodes.filter((node) => node.id !== id);
  }

  async list(): Promise<readonly Node[]> {
    const { answer } = this;
    this.answer = undefined;
    if (answer instanceof ProviderError) throw answer;
    return answer ?? this.nodes;
  }

  async label(id: string, labels: Node['labels']): Promise<void> {
    this.calls.push(`label ${id}`);
    this.nodes = this.nodes.map((node) => (node.id === id ? { ...node, labels } : node));
  }

  kept: readonly string[] = [];

  async volumes(): Promise<readonly string[]> {
    return this.kept;
  }

  said = 'up';

  async console(): Promise<Uint8Array> {
    return Buffer.from(this.said);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

export interface Setting {
  readonly provider: WrongProvider;
  readonly controller: FleetController;
  readonly events: FleetEvent[];
  readonly pass: () => ReturnType<FleetController['pass']>;
}

export function start(
  logDir: string,
  now: () => number = Date.now,
  text: string = fleet.file.text,
  images?: ImageKeeper,
): Setting {
  const provider = Object.assign(new WrongProvider(), images === undefined ? {} : { images });
  const events: FleetEvent[] = [];
  const controller = new FleetController({
    fleet: parseFleet({ path: 'fleet.yml', text }),
    providers: new Map([['here', provider]]),
    openImage: async (_, digest) => ({ digest, files: { kernel: '', cmdline: '' } }),
    logDir,
    onEvent: (event) => events.push(event),
    now,
  });
  const call = { generation: 1, signal: new AbortController().signal };
  return { provider, controller, events, pass: async () => controller.pass(call) };
}

export async function converged(setting: Setting): Promise<void> {
  for (let passes = 0; passes < 4; passes += 1) await setting.pass();
  expect(setting.events.at(-1)).toMatchObject({ kind: 'converged' });
  setting.provider.calls.length = 0;
}
