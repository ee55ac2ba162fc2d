import type { Dockerfile } from './ast.ts';
import type { BuildPlan, ContainerConfig, ImageOrigin } from './steps.ts';

export interface PlatformName {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

export interface EvaluateOptions {
  readonly buildArgs: ReadonlyMap<string, string>;
  /** What is built: TARGETPLATFORM and its parts. */
  readonly platform: PlatformName;
  /** Where it is built: BUILDPLATFORM and its parts. Default: `platform`. */
  readonly buildPlatform?: PlatformName;
  /** Name or number of the stage to build. Default: the last. */
  readonly target?: string;
  /** The `config` object of an image that a needed stage is FROM; undefined for an image without one. */
  readonly imageConfig: (image: ImageOrigin) => ContainerConfig | undefined;
}

/**
 * Expands every variable, resolves every stage and orders what the target needs.
 * @throws LktError DOCKERFILE_INVALID with file, line and column.
 */
export function evaluate(_dockerfile: Dockerfile, _options: EvaluateOptions): BuildPlan {
  throw new Error('not written yet');
}
