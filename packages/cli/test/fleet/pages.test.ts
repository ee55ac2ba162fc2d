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
      isPaused: false,
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
  unreachable: { rack: 'redfish: status <503>' },
};

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Reads the text format of Prometheus, version 0.0.4, as strictly as promtool. */
function samplesIn(text: string): readonly Sample[] {
  expect(text.endsWith('\n')).toBe(true);
  const families = new Set<string>();
  const seen = new Set<string>();
  let family = '';
  let next: 'HELP' | 'TYPE' | 'samples' = 'HELP';
  return text
    .slice(0, -1)
    .split('\n')
    .flatMap((line) => {
      const [, word, name = '', rest = ''] = /^# (HELP|TYPE) ([a-z_:]+) (.+)$/.exec(line) ?? [];
      if (word === 'HELP') {
        // The lines of a metric are one block.
        expect([line, families.has(name)]).toEqual([line, false]);
        families.add(name);
        [family, next] = [name, 'TYPE'];
        return [];
      }
      if (word === 'TYPE') {
        expect([name, rest, next]).toEqual([family, 'gauge', 'TYPE']);
        next = 'samples';
        return [];
      }
      const match = /^([a-z_:]+)\{((?:[a-z_]+="(?:[^"\\]|\\["\\n])*",?)*)\} (-?\d+)$/.exec(line);
      const [, own = '', given = '', value = ''] = match ?? [];
      expect([line, own, next]).toEqual([line, family, 'samples']);
      expect([line, seen.has(`${own}{${given}}`)]).toEqual([line, false]);
      seen.add(`${own}{${given}}`);
      const pairs = [...given.matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)];
      const labels = pairs.map(([, key = '', escaped = '']): [string, string] => [
        key,
        escaped.replaceAll(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char)),
      ]);
      return [{ name: own, labels: Object.fromEntries(labels), value: Number(value) }];
    });
}

test('writes metrics that Prometheus reads', () => {
  const samples = samplesIn(metricsOf(report));
  const [fleet, group] = [{ fleet: 'shop' }, { fleet: 'shop', group: 'web' }];
  const labels = { ...group, node: 'web-0' };
  expect(samples).toEqual([
    { name: 'lkt_fleet_nodes_wanted', labels: group, value: 2 },
    { name: 'lkt_fleet_nodes_available', labels: group, value: 1 },
    { name: 'lkt_fleet_nodes_current', labels: group, value: 1 },
    { name: 'lkt_fleet_nodes_stale', labels: group, value: 1 },
    { name: 'lkt_fleet_converged', labels: group, value: 0 },
    { name: 'lkt_fleet_halted', labels: group, value: 1 },
    { name: 'lkt_fleet_rolled_back', labels: group, value: 0 },
    { name: 'lkt_fleet_paused', labels: group, value: 0 },
    { name: 'lkt_fleet_node_age_seconds', labels, value: 90_061 },
    { name: 'lkt_fleet_node_expires_in_seconds', labels, value: -5 },
    { name: 'lkt_fleet_orphans', labels: fleet, value: 1 },
    { name: 'lkt_fleet_providers_unreachable', labels: fleet, value: 1 },
  ]);
});

test('escapes what a provider may name a node', () => {
  const name = 'a"b\\c\nd';
  const [first] = report.groups;
  if (first === undefined) throw new Error('no group');
  const nodes = first.nodes.map((node) => ({ ...node, name }));
  const samples = samplesIn(metricsOf({ ...report, groups: [{ ...first, nodes }] }));
  expect(samples.filter(({ labels }) => labels['node'] === name)).toHaveLength(2);
});

test('writes a page without markup of others', () => {
  const page = statusPage(report, new Date(0));
  expect(page).toContain('1 of 2 available, halted');
  expect(page).toContain('a node &#60;b&#62;failed');
  expect(page).toContain('1d1h');
  expect(page).toContain('Provider rack does not answer: redfish: status &#60;503&#62;');
});

test('writes lines with the reason of each replacement', () => {
  expect(reportLines(report)).toEqual([
    'web: 1 of 2 available, halted, abababababab',
    '  web-0  ready  healthy  abababababab  age 1d1h of 1d1h  80→127.0.0.1:1080  replaced for: expired',
    '  held back: a node <b>failed</b>',
    'orphan old-0: its group is not in the file',
    'volume shop.old.0.data: the file wants no node with it',
    'provider rack does not answer: redfish: status <503>',
  ]);
});

test('shows the result of an attestation beside the health', () => {
  const [group] = report.groups;
  if (group === undefined) throw new Error('no group');
  const nodes = group.nodes.map((node) => ({ ...node, attestation: 'rejected' }));
  const attested = { ...report, groups: [{ ...group, nodes }] };
  expect(reportLines(attested)[1]).toContain('  healthy, rejected  ');
  expect(statusPage(attested, new Date(0))).toContain('healthy, rejected');
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
