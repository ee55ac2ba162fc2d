import { digestOf } from '@lkt/core';
import { expect, test } from 'vitest';
import { type Inspected, inspectLines } from '../../src/output/inspect-report.ts';

const digest = digestOf('referrer');

/** An image in the store with SBOMs and provenances. */
function imageWith(documents: NonNullable<Inspected['documents']>): Inspected {
  const [{ parameters = {}, inputs = [] } = {}] = documents.filter((one) => one.inputs);
  const packages = [{ name: 'busybox', version: '1' }];
  return {
    kind: 'image',
    name: 'example/app:1',
    outputs: [],
    parameters,
    images: [],
    inputs,
    packages,
    documents,
  };
}

function provenance(name: string): NonNullable<Inspected['documents']>[number] {
  const inputs = [{ name: `${name}.txt`, digest }];
  return { kind: 'provenance', digest, parameters: { package: name }, inputs };
}

test('shows one SBOM and one provenance without a number', () => {
  const lines = inspectLines(imageWith([{ kind: 'SBOM', digest }, provenance('one')]));
  expect(lines).toEqual([
    'example/app:1  (in the store)',
    'asked for',
    '  package: one',
    'made from',
    `  one.txt  ${digest}`,
    'SBOM lists 1',
    '  busybox  1',
  ]);
});

test('shows every provenance, the number of SBOMs, and documents that cannot be read', () => {
  const lines = inspectLines(
    imageWith([
      { kind: 'SBOM', digest },
      { kind: 'SBOM', digest },
      { kind: 'SBOM', digest, problem: 'not an SPDX document' },
      provenance('one'),
      provenance('two'),
    ]),
  );
  expect(lines).toEqual([
    'example/app:1  (in the store)',
    'asked for, by the first of 2 provenances',
    '  package: one',
    'made from, by the first of 2 provenances',
    `  one.txt  ${digest}`,
    `another provenance, ${digest}, asked for`,
    '  package: two',
    `another provenance, ${digest}, made from`,
    `  two.txt  ${digest}`,
    'unreadable documents',
    `  SBOM ${digest}: not an SPDX document`,
    '2 SBOMs list 1',
    '  busybox  1',
  ]);
});
