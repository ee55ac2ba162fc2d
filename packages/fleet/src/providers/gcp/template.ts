import type { EngineRequest } from '../../engine/engine.ts';
import type { GcpGroupSettings, GcpSettings } from './settings.ts';

/** Labels of instances. */
export const LABELS = { fleet: 'lkt-fleet', group: 'lkt-group', spec: 'lkt-spec' } as const;

/** Returns the repairs of a group by its health check. */
export function healingOf({ settings, startupTimeoutMs }: EngineRequest, project: string): object {
  const { healthCheck } = settings as GcpGroupSettings;
  if (healthCheck === undefined) return { autoHealingPolicies: [] };
  return {
    autoHealingPolicies: [
      {
        healthCheck: `projects/${project}/global/healthChecks/${healthCheck}`,
        initialDelaySec: Math.ceil(startupTimeoutMs / 1000),
      },
    ],
  };
}

/**
 * Returns the machines of a template. They have no service account, so no permissions at Google.
 */
export function propertiesOf(
  request: EngineRequest,
  image: string,
  { project, location }: GcpSettings,
): object {
  const region = 'zone' in location ? location.zone.replace(/-[a-z]$/, '') : location.region;
  const { fleet, group, spec, metadata } = request;
  const settings = request.settings as GcpGroupSettings;
  const { machineType, network, subnetwork, networkTags, publicAddress } = settings;
  return {
    machineType,
    labels: { [LABELS.fleet]: fleet, [LABELS.group]: group, [LABELS.spec]: spec },
    disks: [
      {
        boot: true,
        autoDelete: true,
        initializeParams: { sourceImage: `projects/${project}/global/images/${image}` },
      },
    ],
    networkInterfaces: [
      {
        ...(subnetwork === undefined
          ? { network: `projects/${project}/global/networks/${network}` }
          : { subnetwork: `projects/${project}/regions/${region}/subnetworks/${subnetwork}` }),
        ...(publicAddress
          ? { accessConfigs: [{ type: 'ONE_TO_ONE_NAT', name: 'External NAT' }] }
          : {}),
      },
    ],
    ...(networkTags.length === 0 ? {} : { tags: { items: [...networkTags] } }),
    metadata: {
      items: [
        { key: 'serial-port-enable', value: 'false' },
        ...(metadata === undefined
          ? []
          : [{ key: 'user-data', value: Buffer.from(metadata).toString('utf8') }]),
      ],
    },
    serviceAccounts: [],
    shieldedInstanceConfig: { enableVtpm: true, enableIntegrityMonitoring: true },
    scheduling: { automaticRestart: true },
  };
}
