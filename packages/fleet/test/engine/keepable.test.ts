import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { digestOf } from '@lkt/core';
import { expect, test } from 'vitest';
import type { FleetController } from '../../src/controller/controller.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { AsgEngine } from '../../src/providers/asg/engine.ts';
import { AzureEngine } from '../../src/providers/azure/engine.ts';
import { GcpEngine } from '../../src/providers/gcp/engine.ts';
import { AZURE_SETTINGS } from '../providers/azure-server.ts';
import { engineController } from '../providers/engine-passes.ts';

interface Example {
  readonly engine: Engine;
  /** Settings of the provider and of the group. */
  readonly provider: string;
  readonly group: string;
}

const GCP = { project: 'shop-1234', bucket: 'images' };
// No request is made.
const ENGINES: Readonly<Record<string, Example>> = {
  asg: {
    engine: new AsgEngine({ region: 'eu-central-1' }),
    provider: '{ region: eu-central-1 }',
    group: '{ instanceType: t3.small, subnets: [subnet-0123456789abcdef0] }',
  },
  gcp: {
    engine: new GcpEngine(
      { ...GCP, location: { zone: 'europe-west3-a' } },
      { credentialsFile: undefined, variables: {} },
    ),
    provider: JSON.stringify({ ...GCP, zone: 'europe-west3-a' }),
    group: '{ machineType: e2-small }',
  },
  azure: {
    engine: new AzureEngine(AZURE_SETTINGS, {}),
    provider: JSON.stringify(AZURE_SETTINGS),
    group:
      '{ vmSize: Standard_B1s, subnet: shop/nodes, loadBalancer: web, backendPool: nodes, healthProbe: http }',
  },
};
const KINDS = Object.keys(ENGINES);

/** Opens a fleet with these lines in its group, the last one of the file. */
function open(kind: string, lines: readonly string[], size = 'size: 3'): FleetController {
  const example = ENGINES[kind];
  if (example === undefined) throw new Error(kind);
  const text = `version: "1"
name: shop
providers:
  frankfurt: { ${kind}: ${example.provider} }
groups:
  web:
    provider: frankfurt
    image: web@${digestOf('one')}
    ${size}
    ${kind}: ${example.group}
${lines.map((line) => `    ${line}\n`).join('')}`;
  return engineController({ text, engine: example.engine, events: [] });
}

const docs = readFileSync(join(import.meta.dirname, '../../../../docs/fleet.md'), 'utf8');
const [, section = ''] = /^### Engines\n([\s\S]*?)^## /m.exec(docs) ?? [];
const [head = [], , ...rows] = section
  .split('\n')
  .filter((line) => line.startsWith('|'))
  .map((line) => line.split('|').map((cell) => cell.trim()));

test('docs have a column for each engine', () => {
  expect(head.slice(2, -1)).toEqual(KINDS);
  expect(rows.length).toBeGreaterThan(5);
});

test.for(
  rows.flatMap(([, text = '', ...cells]) =>
    KINDS.map((kind, index): [string, string, string] => [kind, text, cells[index] ?? '']),
  ),
)('%s keeps %s as docs say: %s', ([kind, text, cell]) => {
  const lines = [...text.matchAll(/`([^`]+)`/g)].map(([, line = '']) =>
    line
      .replace('WINDOW', '{ days: [Mon], from: "01:00", to: "02:00" }')
      .replace('{ … }', '{ hostname: { content: "${GROUP}" } }')
      .replace(/^expire$/, 'expire: { after: 30d }'),
  );
  const opened = (): string => (open(kind, lines).specs.size === 1 ? 'yes' : 'nothing');
  if (cell === 'yes') return expect(opened()).toBe('yes');
  expect(cell).toBe('error');
  const place = /^(?:fleet\.yml):\d+:\d+: groups\.web\.\w/;
  return expect(opened).toThrow(
    expect.objectContaining({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(place),
      fix: expect.stringMatching(/./),
    }),
  );
});

test.for<[string, string]>([
  ['template: { cpus: 2 }', '11:23: groups.web.template.cpus: '],
  ['template: { memory: 1G }', '11:25: groups.web.template.memory: '],
  ['template: { publish: [80] }', '11:26: groups.web.template.publish: '],
  ['template: { volumes: { data: 1G } }', '11:26: groups.web.template.volumes: '],
  ['health: { tcp: 80 }', '11:13: groups.web.health: '],
  ['attest: { command: [x] }', '11:13: groups.web.attest: '],
  ['maxSick: 50%', '11:14: groups.web.maxSick: '],
  ['drain: { command: [x] }', '11:12: groups.web.drain: '],
  ['grace: 10s', '11:12: groups.web.grace: '],
  ['roll: { canary: {} }', '11:21: groups.web.roll.canary: '],
  ['roll: { retries: 3 }', '11:22: groups.web.roll.retries: '],
  ['expire: { after: 30d, jitter: 5% }', '11:35: groups.web.expire.jitter: '],
])('no engine ignores %s', ([line, place]) => {
  const [, key = ''] = /groups\.web\.([\w.]+): /.exec(place) ?? [];
  expect(section).toContain(`\`${key.replace(/^template\..*/, 'template')}\``);
  for (const kind of KINDS)
    expect(() => open(kind, [line])).toThrow(
      expect.objectContaining({
        code: 'CONFIG_INVALID',
        message: expect.stringContaining(place),
        fix: expect.stringMatching(/./),
      }),
    );
});

test('no engine accepts names of nodes', () => {
  for (const kind of KINDS)
    expect(() => open(kind, [], 'nodes: [a]')).toThrow(
      expect.objectContaining({
        message: expect.stringContaining(':9:12: groups.web.nodes: '),
        fix: 'write size',
      }),
    );
});
