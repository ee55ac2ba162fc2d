import { digestOf } from '@lkt/core';
import { expect, test } from 'vitest';
import { parseFleet } from '../../src/config/fleet-yml.ts';
import { groupSpecOf, volumesOf } from '../../src/config/group-specs.ts';
import type { GroupSpec } from '../../src/reconcile/group-spec.ts';

const IMAGE = `registry.example.com/web@${digestOf('image')}`;

/** Returns a file with these lines in its group. */
function fleetText(...lines: readonly string[]): string {
  return `version: "1"
name: shop
providers:
  here: { qemu: {} }
groups:
  web:
    provider: here
    image: ${IMAGE}
${lines.map((line) => `    ${line}\n`).join('')}`;
}

function specOf(text: string, machines?: readonly string[]): GroupSpec {
  const fleet = parseFleet({ path: 'fleet.yml', text });
  const [group] = fleet.groups.values();
  if (group === undefined) throw new Error('no group');
  return groupSpecOf(fleet, group, machines);
}

const web = (...lines: readonly string[]): GroupSpec => specOf(fleetText(...lines));

test('reads a group with its defaults', () => {
  expect(web('size: 3')).toEqual({
    fleet: 'shop',
    name: 'web',
    image: digestOf('image'),
    template: expect.stringMatching(/^[0-9a-f]{16}$/),
    size: 3,
    surge: 1,
    unavailable: 0,
    windows: [],
    startupTimeoutMs: 600_000,
    minReadyMs: 0,
    retries: 1,
    jitter: 0,
    maxSick: 0.4,
    rollback: 'off',
    isPaused: false,
  });
});

/** Returns the name of a volume. */
function volumeOf(fleet: string, group: string): string | undefined {
  const text = fleetText('size: 1', 'template: { volumes: { data: 1G } }')
    .replace('name: shop', `name: ${fleet}`)
    .replace('web:', `${group}:`);
  const config = parseFleet({ path: 'fleet.yml', text });
  const [one] = config.groups.values();
  return one && volumesOf(config, one, 0)[0]?.name;
}

test('gives volumes of fleets and groups with similar names different names', () => {
  expect(volumeOf('shop', 'eu-web')).toBe('shop.eu-web.0.data');
  expect(volumeOf('shop-eu', 'web')).toBe('shop-eu.web.0.data');
});

test('gives a group with volumes fixed names, and no surge', () => {
  const spec = web('size: 2', 'template: { volumes: { data: 1G } }');
  expect(spec).toMatchObject({ names: ['web-0', 'web-1'], surge: 0, unavailable: 1 });
});

test('accepts a group without nodes, whatever its budget', () => {
  expect(web('size: 0', 'roll: { unavailable: 1 }')).toMatchObject({ size: 0, unavailable: 1 });
});

test('changes the template only with what makes a node', () => {
  const { template } = web('size: 2', 'template: { memory: 256M }');
  expect(web('size: 5', 'template: { memory: 256M }', 'grace: 5s').template).toBe(template);
  expect(web('size: 2', 'template: { memory: 512M }').template).not.toBe(template);
  const given = fleetText('size: 2', 'template: { memory: 256M }');
  const at = (settings: string): string =>
    specOf(given.replace('qemu: {}', `qemu: { ${settings} }`)).template;
  expect(at('maxNodes: 4, state: nodes, accelerator: auto')).toBe(template);
  expect(
    new Set([at(''), at('bridge: lkt0'), at('bridge: lkt1'), at('accelerator: tcg')]).size,
  ).toBe(4);
  const metadata = 'template: { memory: 256M, metadata: { hostname: { content: a } } }';
  expect(web('size: 2', metadata).template).not.toBe(template);
});

test('rounds percentages so that a roll can go on', () => {
  expect(web('size: 3', 'roll: { unavailable: 25% }')).toMatchObject({ unavailable: 1, surge: 0 });
  expect(web('size: 20', 'roll: { surge: 25%, unavailable: 0 }')).toMatchObject({ surge: 5 });
});

test.each([
  [['size: 2', 'roll: { surge: 0, unavailable: 0 }'], '10:11: .*no node can ever be replaced'],
  [['size: 2', 'roll: { surge: 0, unavailable: 3 }'], '10:11: .*3 unavailable nodes are more'],
  [
    ['size: 2', 'template: { volumes: { data: 1G } }', 'roll: { surge: 1 }'],
    '11:11: .*cannot have surge',
  ],
  [['size: 2', 'template: { volumes: { ../a: 1G } }'], '10:34: .*"../a" is not a valid name'],
  [
    ['size: 2', 'expire: { after: 2d }', 'windows: [{ days: [Sat], from: "09:00", to: "12:00" }]'],
    '11:14: .*no window is open for 165 hours, longer than a node may live',
  ],
  [['size: 2', 'nodes: [a]'], '7:5: .*either size or nodes'],
  [[], '7:5: .*either size or nodes'],
  [['nodes: [a, a]'], '9:12: .*occurs twice'],
  [['nodes: [Rack]'], '9:12: .*"Rack" is not a valid node name'],
  [['size: 2', 'expire: { after: 5s }'], '10:13: .*expire before they are ready'],
  [['size: 100', 'expire: { after: 10m }'], '10:13: .*takes longer than a node may live'],
  [['size: 2', 'expire: { after: 5 }'], '10:22: .*after: "5" is not a duration'],
  [['size: 2', 'template: { memory: 512 }'], '10:25: .*"512" is not a size'],
  [['size: 2', 'template: { memory: 1K }'], '10:25: .*memory is a whole number of MiB'],
  [['size: 2', 'template: { memory: 1537K }'], '10:25: .*memory is a whole number of MiB'],
  [['size: 2', 'helth: {}'], '10:5: unknown key "helth"'],
  [
    ['size: 2', 'windows: [{ days: [Mo], from: "09:00", to: "10:00" }]'],
    '10:24: .*"Mo" is not a day',
  ],
  [
    ['size: 2', 'windows: [{ days: [Mon], from: "9:00", to: "10:00" }]'],
    '10:36: .*"9:00" is not a time of day',
  ],
  [
    ['size: 2', 'windows: [{ days: [Mon], from: "09:00", to: "10:00", zone: Mars }]'],
    '10:64: .*not a time zone',
  ],
  [['size: 2', 'health: { tcp: 80, http: ":80/" }'], '10:13: .*exclude each other'],
  [['size: 2', 'health: { console: "" }'], '10:24: .*every console has it'],
  [['size: 2', 'health: { unhealthy: lost }'], '10:13: .*after which the node is healthy again'],
  [['size: 2', 'drain: { timeout: 5s }'], '10:12: .*either http or command'],
  [['size: 2', 'drain: { http: ":70000/" }'], '10:20: .*70000 is not a port'],
  [['size: 2', 'template: { metadata: hello }'], '10:27: .*metadata is a mapping'],
  [['size: 100001'], '9:11: .*100001 is not between 0 and 100000'],
  [['size: 2', 'windows: [{ days: [], from: "01:00", to: "02:00" }]'], '10:.*the list is empty'],
  [['size: 2', 'grace: 4000d'], '10:12: .*longer than ten years'],
  [['size: 2', 'maxSick: 101%'], '10:14: .*more than 100%'],
])('rejects %j at its position', (lines, message) => {
  expect(() => web(...lines)).toThrow(
    expect.objectContaining({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(new RegExp(`^fleet\\.yml:${message}`)),
      fix: expect.stringMatching(/./),
    }),
  );
});

test.each([
  [fleetText('size: 1').replace('provider: here', 'provider: her'), '7:15: .*no provider "her"'],
  [
    fleetText('size: 1').replace('  here:', '  here: { qemu: {} }\n  there:'),
    '5:10: .*the providers here and there have the same nodes',
  ],
  [
    fleetText('size: 1').replace(
      '  here:',
      '  here: { qemu: { state: nodes } }\n  there: { qemu: { state: ./nodes/, accelerator: tcg } }\n  other:',
    ),
    '5:10: .*the providers here and there have the same nodes',
  ],
  [
    fleetText('size: 1').replace(
      '  here:',
      '  here: { libvirt: { uri: "qemu:///system" } }\n  there: { libvirt: { uri: "qemu:///system", pool: lkt } }\n  other:',
    ),
    '5:10: .*the providers here and there have the same nodes',
  ],
  [fleetText('size: 1').replace('web:', 'Web:'), '7:5: .*"Web" is not a valid name'],
  [fleetText('size: 1').replace(/@sha256.*/, ':latest'), '8:12: .*has no digest'],
  [fleetText('size: 1').replace('qemu: {}', ''), '4:9: .*exactly one kind'],
  [fleetText('size: 1').replace('qemu', 'qemux'), '4:11: unknown key "qemux"'],
  [
    fleetText('size: 1').replace('qemu: {}', 'aws: { region: eu-central-1 }'),
    '7:5: .*the group web has no settings for aws',
  ],
  [
    fleetText('size: 1', 'aws: { instanceType: t3.small }'),
    '10:10: .*the provider here is of the kind qemu',
  ],
])('rejects a file at its place: %#', (text, message) => {
  expect(() => specOf(text)).toThrow(
    expect.objectContaining({
      message: expect.stringMatching(new RegExp(`^fleet\\.yml:${message}`)),
      fix: expect.stringMatching(/./),
    }),
  );
});

test.each([
  ['{ qemu: { state: nodes } }', '{ qemu: { state: /srv/shop/nodes } }'],
  ['{ qemu: {} }', '{ qemu: { state: /var/state/qemu } }'],
  [
    '{ netboot: { state: n, machines: { a: { mac: "52:54:00:00:00:01" } } } }',
    '{ netboot: { state: ./n, machines: { b: { mac: "52:54:00:00:00:02" } } } }',
  ],
])('rejects two providers with one directory: %s, %s', (one, other) => {
  const text = fleetText('size: 1').replace('{ qemu: {} }', `${one}\n  there: ${other}`);
  const dirs = { dir: '/srv/shop', stateDir: '/var/state' };
  expect(() => parseFleet({ path: 'fleet.yml', text }, undefined, dirs)).toThrow(
    /^fleet\.yml:5:10: .*the providers here and there have the same nodes/,
  );
});

test('requires names of machines where none can be created', () => {
  const text = fleetText('nodes: [rack-1]');
  expect(specOf(text, ['rack-1', 'rack-2'])).toMatchObject({ size: 1, names: ['rack-1'] });
  expect(() => specOf(text, ['rack-2'])).toThrow(/:9:12: .*the provider has no machine "rack-1"/);
  expect(() => specOf(fleetText('size: 1'), ['rack-2'])).toThrow(/names its machines/);
});
