import { createAuthority } from '@lkt/testing';
import { expect, test } from 'vitest';
import { CertificateScan } from '../src/rootfs/certificates.ts';

const KIB = 1024;

test.for<[string, readonly number[], boolean]>([
  ['in one piece', [], true],
  ['whose first line is in two pieces', [26 * KIB + 500], true],
  ['in pieces of a byte around its begin', [26 * KIB + 494, 26 * KIB + 495, 26 * KIB + 496], true],
  ['behind a first part of another kind', [27 * KIB + 1], false],
])('reads a certificate %s', ([, cuts, isFound]) => {
  using authority = createAuthority();
  const text = `${'#'.repeat((isFound ? 26 : 28) * KIB + 490)}\n${authority.cert}${' '.repeat(KIB)}`;
  const bytes = Buffer.from(text);
  const scan = new CertificateScan('etc/cert.pem', new Date(0));
  let from = 0;
  for (const to of [...cuts, bytes.length]) {
    scan.add(bytes.subarray(from, to));
    from = to;
  }
  expect([...scan.findings()]).toEqual([]);
  expect(scan.until !== undefined).toBe(isFound);
});
