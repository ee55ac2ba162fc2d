import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LktError } from '@lkt/core';
import { affects } from '../src/affects.ts';
import { parseOsv } from '../src/osv.ts';

describe('parseOsv', () => {
  test('reads ranges whose events are out of order', () => {
    const advisory = parseOsv(
      {
        id: 'GO-2025-0001',
        aliases: ['CVE-2025-1'],
        affected: [
          {
            package: { ecosystem: 'Go', name: 'stdlib' },
            ranges: [
              {
                type: 'SEMVER',
                events: [
                  { fixed: '1.24.4' },
                  { introduced: '1.24.0-0' },
                  { fixed: '1.23.10' },
                  { introduced: '0' },
                ],
              },
            ],
          },
        ],
      },
      'record',
    );
    expect(advisory?.affected[0]?.ranges).toEqual([
      { introduced: undefined, fixed: '1.23.10' },
      { introduced: '1.24.0-0', fixed: '1.24.4' },
    ]);
  });

  test('names Debian releases by codename, and counts upstream ids as aliases', () => {
    const advisory = parseOsv(
      {
        id: 'DEBIAN-CVE-2025-31133',
        upstream: ['CVE-2025-31133'],
        affected: [
          {
            package: { ecosystem: 'Debian:13', name: 'runc' },
            ranges: [
              {
                type: 'ECOSYSTEM',
                events: [{ introduced: '0' }, { fixed: '1.1.15+ds1-2+deb13u1' }],
              },
            ],
            ecosystem_specific: { urgency: 'high' },
          },
        ],
      },
      'record',
    );
    expect(advisory).toMatchObject({
      aliases: ['CVE-2025-31133'],
      severity: 'high',
      affected: [{ ecosystem: 'debian', release: 'trixie', name: 'runc' }],
    });
  });

  test.each([
    ['CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H', 'critical'],
    ['CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H', 'high'],
    ['CVSS:4.0/AV:L/AC:L/AT:P/PR:N/UI:N/VC:L/VI:N/VA:N/SC:N/SI:N/SA:N', 'low'],
    ['CVSS:3.1/AV:N', 'unknown'],
    ['nonsense', 'unknown'],
  ])('rates %s as %s', (score, severity) => {
    const affected = [{ package: { ecosystem: 'Go', name: 'm' }, versions: ['v1.0.0'] }];
    const advisory = parseOsv({ id: 'X', severity: [{ score }], affected }, 'record');
    expect(advisory?.severity).toBe(severity);
  });

  test('skips withdrawn records, and those of other ecosystems', () => {
    const affected = [{ package: { ecosystem: 'Go', name: 'm' } }];
    expect(parseOsv({ id: 'X', affected, withdrawn: '2025-01-01T00:00:00Z' }, 'r')).toBeUndefined();
    const other = [{ package: { ecosystem: 'PyPI', name: 'm' } }];
    expect(parseOsv({ id: 'X', affected: other }, 'r')).toBeUndefined();
  });

  test('returns an advisory or CONFIG_INVALID for any JSON', () => {
    const event = fc.record(
      { introduced: fc.jsonValue(), fixed: fc.jsonValue() },
      { requiredKeys: [] },
    );
    const item = fc.record({
      package: fc.oneof(fc.constant({ ecosystem: 'Go', name: 'm' }), fc.jsonValue()),
      ranges: fc.oneof(
        fc.array(fc.record({ type: fc.constant('SEMVER'), events: fc.array(event) })),
        fc.jsonValue(),
      ),
    });
    const document = fc.oneof(
      fc.jsonValue(),
      fc.record({ id: fc.string(), affected: fc.array(item) }),
    );
    fc.assert(
      fc.property(document, (value) => {
        try {
          const advisory = parseOsv(value, 'record');
          for (const one of advisory?.affected ?? []) affects(one, 'v1.2.3');
        } catch (error) {
          expect(error).toBeInstanceOf(LktError);
        }
      }),
    );
  });
});

describe('affects', () => {
  const stdlib = {
    ecosystem: 'go',
    name: 'stdlib',
    ranges: [{ fixed: '1.23.10' }, { introduced: '1.24.0-0', fixed: '1.24.4' }],
    versions: [],
  } as const;

  test.each([
    ['go1.23.9', '1.23.10'],
    ['go1.24', '1.24.4'],
    ['go1.24rc1', '1.24.4'],
    ['1.24.3', '1.24.4'],
    ['(devel)', '1.23.10'],
  ])('says that %s is affected until %s', (version, fixed) => {
    expect(affects(stdlib, version)).toEqual({ affected: true, fixed });
  });

  test.each(['go1.23.10', 'v1.24.4', '1.25rc1', 'go1.25'])(
    'reports that %s is not affected',
    (version) => {
      expect(affects(stdlib, version).affected).toBe(false);
    },
  );

  test('includes the last affected version', () => {
    const item = { ...stdlib, ranges: [{ lastAffected: '1.2.3' }] };
    expect(affects(item, 'v1.2.3').affected).toBe(true);
    expect(affects(item, 'v1.2.4').affected).toBe(false);
  });

  test.each([
    ['go', '1.2.3', 'v1.2.3', 'v1.2.4'],
    ['go', '2.0.0', 'v2.0.0+incompatible', 'v2.0.1+incompatible'],
    ['debian', '0:1.0-1', '1.0-1', '1.0-2'],
  ] as const)(
    'counts a listed version in another form, of %s: %s',
    (ecosystem, one, same, other) => {
      const item = { ecosystem, name: 'm', ranges: [], versions: [one] };
      expect(affects(item, same).affected).toBe(true);
      expect(affects(item, other).affected).toBe(false);
    },
  );

  test('orders Debian versions by dpkg', () => {
    const item = {
      ecosystem: 'debian',
      name: 'runc',
      ranges: [{ fixed: '1.1.15+ds1-2+deb13u1' }],
      versions: [],
    } as const;
    expect(affects(item, '1.1.15+ds1-2').affected).toBe(true);
    expect(affects(item, '1.1.15+ds1-2+deb13u1').affected).toBe(false);
    expect(affects(item, '1:0.1').affected).toBe(false);
  });
});
