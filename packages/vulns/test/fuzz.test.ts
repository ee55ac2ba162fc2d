import { LktError } from '@lkt/core';
import { fuzz } from '@lkt/testing/fuzz';
import { test } from 'vitest';
import { parseTrackerPackage } from '../src/debian-tracker.ts';
import { parseOpenVex } from '../src/open-vex.ts';
import { parseOsv } from '../src/osv.ts';
import { parseSbom } from '../src/sbom.ts';

const affected = {
  package: { ecosystem: 'Go', name: 'stdlib', purl: 'pkg:golang/stdlib' },
  ranges: [{ type: 'SEMVER', events: [{ introduced: '0' }, { fixed: '1.24.4' }] }],
  versions: ['1.0.0'],
};
const osv = {
  id: 'GO-2025-0001',
  aliases: ['CVE-2025-1'],
  summary: 'a fault',
  severity: [{ type: 'CVSS_V3', score: 'CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H' }],
  affected: [affected],
  withdrawn: '2026-01-01T00:00:00Z',
};
const tracker = {
  'CVE-2025-1': {
    description: 'a fault',
    releases: { trixie: { status: 'resolved', fixed_version: '1:2.0-1', urgency: 'high' } },
  },
};
const product = { '@id': 'pkg:deb/debian/runc@1.0', subcomponents: [{ '@id': 'pkg:golang/x@v1' }] };
const vex = {
  '@context': 'https://openvex.dev/ns/v0.2.0',
  statements: [
    {
      vulnerability: { name: 'CVE-2025-1', aliases: ['GO-2025-0001'] },
      products: [product],
      status: 'not_affected',
      justification: 'vulnerable_code_not_present',
    },
  ],
};
const purl = 'pkg:deb/debian/libc6@2.41-12%2Bdeb13u5?arch=amd64&distro=trixie&upstream=glibc';
const spdx = {
  spdxVersion: 'SPDX-2.3',
  packages: [
    { name: 'x', externalRefs: [{ referenceType: 'purl', referenceLocator: purl }] },
    { name: 'y', versionInfo: '1' },
  ],
};
const cyclonedx = {
  bomFormat: 'CycloneDX',
  specVersion: '1.6',
  components: [{ type: 'library', name: 'x', purl, components: [{ name: 'y', purl }] }],
};

test.each([
  ['parseOsv', parseOsv, [osv]],
  ['parseTrackerPackage', (value: unknown) => parseTrackerPackage('runc', value, 'x'), [tracker]],
  ['parseOpenVex', parseOpenVex, [vex]],
  ['parseSbom', parseSbom, [spdx, cyclonedx]],
] as const)('%s only rejects with an LktError', async (_, parse, documents) => {
  await fuzz(
    documents.map((document) => Buffer.from(JSON.stringify(document))),
    (input) => {
      let document: unknown;
      try {
        document = JSON.parse(input.toString());
      } catch {
        return;
      }
      parse(document, 'the document');
    },
    (error) => error instanceof LktError,
  );
});
