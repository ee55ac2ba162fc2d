import type { EngineRequest } from '../../engine/engine.ts';
import { TAGS } from './group.ts';

/** Converts milliseconds to seconds, rounded up. */
export function seconds(milliseconds: number): number {
  return Math.ceil(milliseconds / 1000);
}

/** Returns size, ages and budget as AWS names them. */
export function limitsOf(request: EngineRequest): {
  readonly MinSize: number;
  readonly MaxSize: number;
  readonly DesiredCapacity: number;
  readonly MaxInstanceLifetime: number;
  readonly HealthCheckGracePeriod: number;
  readonly DefaultInstanceWarmup: number;
  readonly InstanceMaintenancePolicy: ReturnType<typeof percentagesOf>;
} {
  const { size, expireAfterMs = 0, startupTimeoutMs, minReadyMs } = request;
  return {
    MinSize: size,
    MaxSize: size,
    DesiredCapacity: size,
    // 0 removes an earlier one.
    MaxInstanceLifetime: seconds(expireAfterMs),
    HealthCheckGracePeriod: seconds(startupTimeoutMs),
    DefaultInstanceWarmup: seconds(minReadyMs),
    InstanceMaintenancePolicy: percentagesOf(request),
  };
}

/** Returns the budget in percent of the size, which AWS bounds: at most 100 apart, at most 200. */
export function percentagesOf({ size, surge, unavailable }: EngineRequest): {
  readonly MinHealthyPercentage: number;
  readonly MaxHealthyPercentage: number;
} {
  if (size === 0) return { MinHealthyPercentage: 100, MaxHealthyPercentage: 200 };
  const least = Math.floor((100 * Math.max(0, size - unavailable)) / size);
  const most = Math.min(200, Math.ceil((100 * (size + surge)) / size));
  return {
    MinHealthyPercentage: Math.max(least, most - 100),
    MaxHealthyPercentage: most,
  };
}

/** Returns tags of a group that its instances do not get. */
export function tagsOf(
  group: string,
  values: Readonly<Partial<Record<keyof typeof TAGS, string>>>,
): {
  readonly ResourceId: string;
  readonly ResourceType: string;
  readonly Key: string;
  readonly Value: string;
  readonly PropagateAtLaunch: boolean;
}[] {
  return Object.entries(values).map(([key, Value]) => ({
    ResourceId: group,
    ResourceType: 'auto-scaling-group',
    Key: TAGS[key as keyof typeof TAGS],
    Value,
    PropagateAtLaunch: false,
  }));
}
