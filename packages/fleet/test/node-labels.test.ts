import { digestOf } from '@lkt/core';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatLabels, type NodeLabels, parseLabels } from '../src/node-labels.ts';

const name = fc.constantFrom('web', 'db-1', 'a');
const hash = fc.stringMatching(/^[0-9a-f]{16}$/);
const digest = fc.string().map((text) => digestOf(text));
const time = fc.integer({ min: 0, max: 4_000_000_000_000 });

const labels: fc.Arbitrary<NodeLabels> = fc.record(
  {
    fleet: name,
    group: name,
    spec: hash,
    specVersion: fc.nat(9),
    image: digest,
    template: hash,
    generation: fc.nat(),
    attempt: fc.nat(9),
    created: time,
    previous: digest,
    slot: fc.nat(99),
    ready: time,
    draining: time,
    held: fc.constant(true),
    replace: time,
    rejected: hash,
  },
  {
    requiredKeys: [
      ...(['fleet', 'group', 'spec', 'specVersion', 'image', 'template'] as const),
      ...(['generation', 'attempt', 'created'] as const),
    ],
  },
);

test('parses the labels that it formats', () => {
  fc.assert(
    fc.property(labels, (given) => {
      const texts = formatLabels(given);
      expect(Object.values(texts).every((text) => text.length <= 80)).toBe(true);
      expect(parseLabels({ ...texts, Name: 'other', 'lkt.future': 'x' })).toEqual(given);
    }),
  );
});

test('rejects labels of which one is missing or malformed', () => {
  const required = ['fleet', 'group', 'spec', 'specVersion', 'image', 'template'];
  fc.assert(
    fc.property(
      labels,
      fc.constantFrom(...required, 'generation', 'attempt', 'created'),
      fc.constantFrom(undefined, '', '-1', '../x', 'NaN', '1e9', {}, null),
      (given, key, value) => {
        expect(parseLabels({ ...formatLabels(given), [`lkt.${key}`]: value })).toBeUndefined();
      },
    ),
  );
});
