import { digestOf } from '@lkt/core';
import type { NodeLabels } from '../src/node-labels.ts';

/** Labels of a node of the group `web`. */
export const EXAMPLE_LABELS: NodeLabels = {
  fleet: 'shop',
  group: 'web',
  spec: '0123456789abcdef',
  specVersion: 1,
  image: digestOf('image'),
  template: '00112233445566ff',
  generation: 1,
  attempt: 0,
  created: 1_700_000_000_000,
};
