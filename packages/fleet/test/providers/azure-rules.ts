import { Problem } from './json-server.ts';

/** An object in a request to Azure. */
export type AzureJson = Readonly<Record<string, unknown>>;

const POLICY = [
  'maxBatchInstancePercent',
  'maxUnhealthyInstancePercent',
  'maxUnhealthyUpgradedInstancePercent',
  'pauseTimeBetweenBatches',
  'maxSurge',
  'rollbackFailedInstancesOnPolicyBreach',
];

/** Returns an error as Azure answers it. */
export function fault(status: number, code: string, message: string, isExpected = false): Problem {
  return new Problem({ status, json: { error: { code, message } } }, isExpected);
}

/**
 * Checks the body of a scale set.
 * @throws Problem for what Azure rejects
 */
export function requireValid(json: AzureJson, isWhole: boolean): void {
  const given = (json['properties'] ?? {}) as AzureJson;
  const properties = given as Record<string, AzureJson>;
  const sku = json['sku'] as AzureJson | undefined;
  if (sku !== undefined && (sku['name'] === undefined || sku['capacity'] === undefined))
    throw fault(400, 'InvalidParameter', 'sku');
  const policy = properties['upgradePolicy'];
  const rolling = (policy?.['rollingUpgradePolicy'] ?? {}) as AzureJson;
  for (const key of Object.keys(rolling))
    if (!POLICY.includes(key)) throw fault(400, 'InvalidParameter', key);
  const within = (key: string, least: number): void => {
    const value = rolling[key];
    if (value !== undefined && !(Number(value) >= least && Number(value) <= 100))
      throw fault(400, 'InvalidParameter', key);
  };
  within('maxBatchInstancePercent', 5);
  within('maxUnhealthyInstancePercent', 5);
  within('maxUnhealthyUpgradedInstancePercent', 0);
  if (Number(rolling['maxBatchInstancePercent']) > Number(rolling['maxUnhealthyInstancePercent']))
    throw fault(400, 'InvalidParameter', 'a batch beyond the unhealthy instances');
  const repairs = properties['automaticRepairsPolicy'];
  const [, minutes = ''] =
    /^PT(\d+)M$/.exec(JSON.stringify(repairs?.['gracePeriod'] ?? '').slice(1, -1)) ?? [];
  if (repairs !== undefined && !(Number(minutes) >= 10 && Number(minutes) <= 90))
    throw fault(400, 'InvalidParameter', 'gracePeriod');
  for (const [key, value] of Object.entries((json['tags'] ?? {}) as Record<string, string>))
    if (/[<>%&\\?/]/.test(key) || value.length > 256)
      throw fault(400, 'InvalidTagValueLength', key);
  const machine = properties['virtualMachineProfile'];
  if (!isWhole) return;
  const network = machine?.['networkProfile'] as Record<string, unknown> | undefined;
  // Rolling upgrades and repairs need a probe.
  if (network?.['healthProbe'] === undefined || given['orchestrationMode'] !== 'Uniform')
    throw fault(400, 'InvalidParameter', 'healthProbe');
  if (machine?.['osProfile'] !== undefined)
    throw fault(400, 'InvalidParameter', 'osProfile with a specialized image');
}
