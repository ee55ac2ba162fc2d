import type { Digest } from '@lkt/core';
import type { LayerRef } from './layers/layers.ts';

/** The environment of a build. */
export interface BuildEnvironment {
  /** Host name of the machine; a RUN has another. */
  readonly hostname: string;
  /** The umask that lkt inherits. */
  readonly umask: number;
  /** The only processor; undefined: all. */
  readonly cpu?: number;
  /** Whether address space randomization is off. */
  readonly fixedAddresses: boolean;
  /** Whether root builds without privileges on the host, as root of a user namespace. */
  readonly userNamespace: boolean;
  /** Maximum bytes of layers, which are then in memory; undefined: layers are on disk. */
  readonly memory?: number;
  /** Additional environment variables of lkt. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * An environment that differs where it must not matter. The native engine uses only blobs of the
 * store in it: no known steps, unpacked layers or cache mounts.
 */
export interface Variation extends BuildEnvironment {
  /**
   * The layer of each step in the first build, by `stepId`. A different layer is kept for
   * comparison.
   */
  readonly expected: Readonly<Record<string, Digest>>;
}

/** The result of a step. */
export interface StepResult {
  /** Index of the stage, and the number of the step in it, from 1. */
  readonly stage: number;
  readonly number: number;
  /** The hash of everything the step depends on. */
  readonly key: string;
  readonly layer: LayerRef;
}

/** Returns an id of a step in its plan. */
export function stepId({ stage, number }: Pick<StepResult, 'stage' | 'number'>): string {
  return `${stage}/${number}`;
}
