import type { ContainerConfig, NewImageConfig } from '@lkt/oci';
import type { StagePlan } from './steps.ts';

/**
 * Returns the image config of a stage with `labels` added. It depends only on the Dockerfile and
 * the labels: it has no history, engine name or build time.
 */
export function imageMetadata(
  stage: StagePlan,
  labels: Readonly<Record<string, string>>,
): NewImageConfig {
  const merged = { ...stage.config.Labels, ...labels };
  const config: ContainerConfig = {
    ...stage.config,
    ...(Object.keys(merged).length === 0 ? {} : { Labels: merged }),
  };
  return { author: stage.author, config };
}
