import { expect, test } from 'vitest';
import { metricsOf } from '../../src/fleet/metrics.ts';
import { durationText, type FleetReport, reportLines } from '../../src/fleet/report.ts';
import { statusPage } from '../../src/fleet/status-page.ts';

const image = `sha256:${'ab'.repeat(32)}`;
const report: FleetReport = {
  fleet: 'shop',
  isConverged: false,
  groups: [
    {
      name: 'web',
      size: 2,
      available: 1,
      current: 1,
      stale: 1,
      image,
      isConverged: false,
      isHalted: true,
      isRolledBack: false,
      holds: ['a node <b>failed</b>'],
      nodes: [
        {
          name: 'web-0',
          group: 'web',
          image,
          state: 'ready',
          health: 'healthy',
          age: 90_061,
          expiresIn: -5,
          replacedFor: 'expired',
          endpoints: { 80: '127.0.0.1:1080' },
        },
      ],
    },
  ],
  orphans: ['old-0'],
  orphanVolumes: ['shop.old.0.data'],
};

test('writes metrics that Prometheus reads', () => {
  const text = metricsOf(report);
  expect(text).toContain('lkt_fleet_nodes_available{fleet="shop",group="web"} 1\n');
  expect(text).toContain('lkt_fleet_halted{fleet="shop",group="web"} 1\n');
  expect(text).toContain(
    'lkt_fleet_node_expires_in_seconds{fleet="shop",group="web",node="web-0"} -5\n',
  );
  expect(text).toContain('lkt_fleet_orphans{fleet="shop"} 1\n');
  for (const line of text.trimEnd().split('\n'))
    expect(line).toMatch(/^(?:# (?:HELP|TYPE) [a-z_]+ .+|[a-z_]+\{[^{}]*\} -?\d+)$/);
});

test('writes a page without markup of others', () => {
  const page = statusPage(report, new Date(0));
  expect(page).toContain('1 of 2 available, halted');
  expect(page).toContain('a node &#60;b&#62;failed');
  expect(page).toContain('1d1h');
});

test('writes lines with the reason of each replacement', () => {
  expect(reportLines(report)).toEqual([
    'web: 1 of 2 available, halted, abababababab',
    '  web-0  ready  healthy  abababababab  age 1d1h of 1d1h  80→127.0.0.1:1080  replaced for: expired',
    '  held back: a node <b>failed</b>',
    'orphan old-0: its group is not in the file',
    'volume shop.old.0.data: the file wants no node with it',
  ]);
});

test.each([
  [0, '0s'],
  [59, '59s'],
  [61, '1m1s'],
  [3600, '1h'],
  [3605, '1h'],
  [90_061, '1d1h'],
  [172_800, '2d'],
])('shows %d s as %s', (seconds, text) => {
  expect(durationText(seconds)).toBe(text);
});
