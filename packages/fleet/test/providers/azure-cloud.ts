import type { Digest } from '@lkt/core';
import { nameOf } from '../../src/engine/group-name.ts';
import { AzureEngine } from '../../src/providers/azure/engine.ts';
import { AZURE_SETTINGS, type AzureServer, startAzureServer } from './azure-server.ts';
import { EngineCloud, type GroupOptions } from './engine-cloud.ts';

/** Name of the scale set. */
export const AZURE_NAME: string = nameOf('shop', 'web');

/** Variables with credentials that the server accepts. */
export const AZURE_VARIABLES = {
  AZURE_TENANT_ID: 'tenant-1',
  AZURE_CLIENT_ID: 'client-1',
  AZURE_CLIENT_SECRET: 'secret-1',
} as const;

/**
 * A server in place of Azure. It rejects what Azure documents as invalid: Azure itself has not been
 * met.
 */
export class AzureCloud extends EngineCloud<AzureServer, AzureEngine> {
  constructor() {
    super(Buffer.concat([Buffer.from('start'), Buffer.alloc(9 * 2 ** 20), Buffer.from('end')]));
  }

  override text(image: Digest, { size = 3, more = '' }: GroupOptions = {}): string {
    return `version: "1"
name: shop
providers:
  frankfurt:
    azure:
      subscription: ${AZURE_SETTINGS.subscription}
      resourceGroup: shop
      region: germanywestcentral
      gallery: images
      imageDefinition: web
groups:
  web:
    provider: frankfurt
    image: web@${image}
    size: ${size}
    azure:
      vmSize: Standard_B1s
      subnet: shop/nodes
      loadBalancer: web
      backendPool: nodes
      healthProbe: http
${more}`;
  }

  override async start(): Promise<void> {
    this.server = await startAzureServer();
    const settings = { ...AZURE_SETTINGS, endpoint: this.server.endpoint };
    this.engine = new AzureEngine(settings, AZURE_VARIABLES, () => this.now);
  }

  /** The scale set. */
  body(): Readonly<Record<string, unknown>> {
    return this.server.sets.get(AZURE_NAME)?.body ?? {};
  }
}
