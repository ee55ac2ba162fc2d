import type { Digest } from '@lkt/core';
import type { LayerRef } from './layers/layers.ts';

/** BuildEnvironment of a build. */
export interface BuildEnvironment {
  /** Of the machine; a RUN does not see it. */
  readonly hostname: string;
  /** What lkt inherits. */
  readonly umask: number;
  /** The one processor that everything runs on; absent: all. */
  readonly cpu?: number;
  /** Whether programs are always loaded at the same addresses. */
  readonly fixedAddresses: boolean;
  /** Whether root builds without its rights over the machine, as root of a user namespace. */
  readonly userNamespace: boolean;
  /** Bytes of memory that layers may take, which are then not on disk. */
  readonly memory?: number;
  /** Added to the environment lkt has. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * BuildEnvironment that differ from the usual ones in what must not matter. The native engine takes nothing from its store but
 * blobs in such a world: no step that is known, no unpacked layer, no cache mount.
 */
export interface Variation extends BuildEnvironment {
  /** What each step, by `stepId`, gave before. A layer that differs is kept, to be looked at. */
  readonly expected: Readonly<Record<string, Digest>>;
}

/** What a step gave. */
export interface StepResult {
  /** Index of the stage, and the number of the step in it, from 1. */
  readonly stage: number;
  readonly number: number;
  /** The hash of everything the step depends on. */
  readonly key: string;
  readonly layer: LayerRef;
}

/** Names a step of a plan. */
export function stepId({ stage, number }: Pick<StepResult, 'stage' | 'number'>): string {
  return `${stage}/${number}`;
}
