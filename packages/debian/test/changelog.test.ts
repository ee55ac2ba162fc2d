import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { vulnerabilitiesAfter } from '../src/deb/changelog.ts';

const RUNC = `runc (1.1.15+ds1-2+deb13u2) trixie-security; urgency=high

  * Fix CVE-2026-41579 and CVE-2025-31133 again

 -- A <a@example.org>  Fri, 13 Nov 2026 10:00:00 +0000

runc (1.1.15+ds1-2+deb13u1) trixie-security; urgency=high

  * CVE-2025-31133, CVE-2025-52565.
    Not an entry: runc (9) unstable; urgency=low

 -- A <a@example.org>  Fri, 14 Nov 2025 10:00:00 +0000

runc (1.1.15+ds1-2) unstable; urgency=medium

  * Earlier: CVE-2024-21626

 -- A <a@example.org>  Fri, 15 Nov 2024 10:00:00 +0000
`;

function named(after: string): readonly string[] {
  return vulnerabilitiesAfter(RUNC, '1.1.15+ds1-2+deb13u2', after);
}

it('lists what the entries after a version name', () => {
  expect(named('1.1.15+ds1-2+deb13u1')).toEqual(['CVE-2025-31133', 'CVE-2026-41579']);
  expect(named('1.1.15+ds1-2')).toEqual(['CVE-2025-31133', 'CVE-2025-52565', 'CVE-2026-41579']);
  expect(named('1.1.15+ds1-2+b4')).toEqual(named('1.1.15+ds1-2'));
  expect(named('1.0')).toContain('CVE-2024-21626');
  expect(named('1.1.15+ds1-2+deb13u2')).toEqual([]);
});

it('reads only the newest entry if the versions are not those of the source', () => {
  expect(vulnerabilitiesAfter(RUNC, '2:4.0', '2:3.0')).toEqual([
    'CVE-2025-31133',
    'CVE-2026-41579',
  ]);
});

it('reads any text', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.string(), (text, version, after) => {
      expect(vulnerabilitiesAfter(text, version, after)).toBeInstanceOf(Array);
    }),
  );
});
