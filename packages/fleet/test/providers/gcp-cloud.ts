import { writeFile } from 'node:fs/promises';
import type { Digest } from '@lkt/core';
import { nameOf } from '../../src/engine/group-name.ts';
import { GcpEngine } from '../../src/providers/gcp/engine.ts';
import { EngineCloud, type GroupOptions } from './engine-cloud.ts';
import { type GcpServer, startGcpServer } from './gcp-server.ts';

const NAME = nameOf('shop', 'web');

/** As {@link GroupOptions}. */
export interface GcpOptions extends GroupOptions {
  /** Further settings of the group. */
  readonly settings?: string;
}

/**
 * A server in place of Google's cloud. It rejects what Google documents as invalid: Google's own
 * cloud has not been met.
 */
export class GcpCloud extends EngineCloud<GcpServer, GcpEngine, GcpOptions> {
  constructor() {
    super(Buffer.concat([Buffer.alloc(2 ** 20), Buffer.from('end')]));
  }

  /** File of the key of the service account. */
  get key(): string {
    return this.file('key.json');
  }

  override text(image: Digest, { size = 3, more = '', settings = '' }: GcpOptions = {}): string {
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

  override async start(place?: string): Promise<void> {
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
