import type { ContainerConfig, NewImageConfig } from '@lkt/oci';
import type { StagePlan } from './steps.ts';

/**
 * What the image of a stage says of itself. It follows from the Dockerfile alone: no history, no name of the engine,
 * no time but the one every image of lkt has.
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
