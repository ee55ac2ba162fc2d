import { digestOf } from '@lkt/core';
import { expect, test } from 'vitest';
import { inspectPage } from '../../src/output/inspect-page.ts';
import type { Inspected } from '../../src/output/inspect-report.ts';
import type { ImageDetails } from '../../src/targets/image-report.ts';

const [own, other] = [digestOf('own'), digestOf('other')];

const image: Inspected = {
  kind: 'build',
  name: 'os',
  outputs: [],
  parameters: {},
  images: [
    { name: 'acme/own:1', digest: own, because: 'built here', signatures: [] },
    { name: 'acme/other:1', digest: other, because: 'signed', signatures: [] },
  ],
  inputs: [],
};

const details: ImageDetails = {
  files: undefined,
  unread: 'no',
  sources: new Map(),
  packages: [],
  privileges: [],
  policies: [],
  verdicts: [own, other].map((digest) => ({
    reference: `acme/image:1@${digest}`,
    digest,
    accepted: false,
    reasons: ['trust.yml:2 requires a signature'],
    signatures: [],
  })) as never,
  unverified: [],
};

test('does not call refused what the build accepted because it had built it', () => {
  const page = inspectPage(image, details, undefined);
  expect(page.match(/not signed, but built by the build/g)).toHaveLength(1);
  expect(page.match(/✗ refused/g)).toHaveLength(1);
  expect(page).toContain('The build used what it had built itself');
});
