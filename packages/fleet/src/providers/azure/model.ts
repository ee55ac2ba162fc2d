import type { EngineRequest } from '../../engine/engine.ts';
import { objectOf } from '../../rest/json-object.ts';
import type { AzureGroupSettings } from './settings.ts';

/** Minimum percentage of a scale set that Azure replaces. */
export const MIN_BATCH_PERCENT = 5;
export const MINUTE_MS = 60_000;
/** Bounds of the time after which Azure repairs a node. */
export const GRACE_MINUTES = { min: 10, max: 90 } as const;
/** File of the guest that names the roll. */
const ROLL_FILE = 'lkt-roll';

/**
 * Returns the user data: the metadata files, and one that differs per roll, so that a roll to the
 * same image changes the model.
 */
export function userDataOf({ metadata, spec }: EngineRequest, now: number): string {
  const files =
    metadata === undefined ? {} : objectOf(JSON.parse(Buffer.from(metadata).toString()));
  const roll = { content: `${spec} ${now}` };
  return Buffer.from(JSON.stringify({ ...files, [ROLL_FILE]: roll })).toString('base64');
}

/**
 * Returns the model of the machines. They have no identity, so no permissions in Azure.
 * @param resourceGroup path of the resource group
 */
export function machineOf(
  request: EngineRequest,
  image: string,
  resourceGroup: string,
  now: number,
): Readonly<
  Record<'userData' | 'storageProfile' | 'networkProfile' | 'diagnosticsProfile', unknown>
> {
  const settings = request.settings as AzureGroupSettings;
  const { subnet, securityGroup, loadBalancer, backendPool, healthProbe } = settings;
  const network = `${resourceGroup}/Microsoft.Network`;
  const balancer = `${network}/loadBalancers/${loadBalancer}`;
  const [virtualNetwork = '', name = ''] = subnet.split('/');
  const ip = {
    name: 'ip',
    properties: {
      subnet: { id: `${network}/virtualNetworks/${virtualNetwork}/subnets/${name}` },
      loadBalancerBackendAddressPools: [{ id: `${balancer}/backendAddressPools/${backendPool}` }],
    },
  };
  const firewall =
    securityGroup === undefined
      ? {}
      : { networkSecurityGroup: { id: `${network}/networkSecurityGroups/${securityGroup}` } };
  return {
    userData: userDataOf(request, now),
    storageProfile: {
      imageReference: { id: image },
      osDisk: {
        createOption: 'FromImage',
        managedDisk: { storageAccountType: 'StandardSSD_LRS' },
      },
    },
    networkProfile: {
      healthProbe: { id: `${balancer}/probes/${healthProbe}` },
      networkInterfaceConfigurations: [
        { name: 'nic', properties: { primary: true, ...firewall, ipConfigurations: [ip] } },
      ],
    },
    diagnosticsProfile: { bootDiagnostics: { enabled: true } },
  };
}

/** Returns how many percent of the nodes a roll replaces at a time, rounded down. */
export function batchPercent({ size, surge, unavailable }: EngineRequest): number {
  return size === 0 ? 100 : Math.min(100, Math.floor((100 * Math.max(surge, unavailable)) / size));
}

/** Returns the rolling upgrade policy of a budget. */
export function budgetOf(request: EngineRequest): object {
  const { surge, minReadyMs, rollback } = request;
  const percent = batchPercent(request);
  return {
    maxBatchInstancePercent: percent,
    // Azure rejects less than a batch.
    maxUnhealthyInstancePercent: percent,
    // One bad node stops the roll.
    maxUnhealthyUpgradedInstancePercent: 0,
    pauseTimeBetweenBatches: `PT${Math.ceil(minReadyMs / 1000)}S`,
    maxSurge: surge > 0,
    rollbackFailedInstancesOnPolicyBreach: rollback === 'auto',
  };
}

/** Returns the policy by which Azure replaces nodes that are not healthy. */
export function repairsOf({ startupTimeoutMs }: EngineRequest): object {
  const minutes = Math.ceil(startupTimeoutMs / MINUTE_MS);
  const grace = Math.min(GRACE_MINUTES.max, Math.max(GRACE_MINUTES.min, minutes));
  return { enabled: true, gracePeriod: `PT${grace}M`, repairAction: 'Replace' };
}
