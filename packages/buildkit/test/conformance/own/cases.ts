import type { OwnCase } from '../own-case.ts';
import { ADD_CASES } from './add.ts';
import { COPY_CASES } from './copy.ts';
import { IGNORE_CASES } from './ignore.ts';
import { METADATA_CASES } from './metadata.ts';
import { MOUNT_CASES } from './mounts.ts';
import { RUN_CASES } from './run.ts';
import { STAGE_CASES } from './stages.ts';
import { WORD_CASES } from './words.ts';

const GROUPS: Readonly<Record<string, readonly OwnCase[]>> = {
  COPY: COPY_CASES,
  ADD: ADD_CASES,
  ignored: IGNORE_CASES,
  stages: STAGE_CASES,
  words: WORD_CASES,
  RUN: RUN_CASES,
  mounts: MOUNT_CASES,
  metadata: METADATA_CASES,
};

/**
 * Cases about what BuildKit's frontend tests and buildah's conformance data are about, in own
 * words, and those in which lkt and BuildKit once differed.
 */
export const OWN_CASES: readonly OwnCase[] = Object.entries(GROUPS).flatMap(([group, items]) =>
  items.map((item) => ({ ...item, name: `${group}: ${item.name}` })),
);
