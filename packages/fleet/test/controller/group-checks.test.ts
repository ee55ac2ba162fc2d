import { expect, test } from 'vitest';
import { parseFleet } from '../../src/config/fleet-yml.ts';
import { FleetController } from '../../src/controller/controller.ts';
import { fleet, image, unopened, WrongProvider } from './wrong-provider.ts';

test.for<[string, string, string]>([
  [
    'web: { provider: here, IMAGE, nodes: [a, b] }\n  api: { provider: here, IMAGE, nodes: [b] }',
    'groups.api.nodes: the groups web and api both have a node b',
    'choose names that are unique in the fleet',
  ],
  [
    'web: { provider: here, IMAGE, size: 2, template: { volumes: { data: 1G } } }\n  api: { provider: here, IMAGE, nodes: [web-1] }',
    'groups.api.nodes: the groups web and api both have a node web-1',
    'choose names that are unique in the fleet',
  ],
  [
    'a-name-that-has-exactly-32-chars: { provider: here, IMAGE, size: 2 }',
    'node names of "a-name-that-has-exactly-32-chars" would have 43 characters',
    'shorten the name of the group by 3',
  ],
])('rejects names of nodes before any is touched: %s', ([groups, message, fix]) => {
  const head = fleet.file.text.slice(0, fleet.file.text.indexOf('  web:'));
  const text = `${head}  ${groups.replaceAll('IMAGE', `image: web@${image}`)}\n`;
  const open = (): FleetController => unopened(parseFleet({ path: 'fleet.yml', text }));
  expect(open).toThrow(
    expect.objectContaining({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(message),
      fix,
    }),
  );
});

test('rejects metadata with an unknown variable before any node is touched', () => {
  const text = fleet.file.text.replace('${NODE}', '${NOWHERE}');
  const wrong = parseFleet({ path: 'fleet.yml', text });
  expect(() => unopened(wrong)).toThrow(/^fleet\.yml:12:27: .*\$\{NOWHERE\} has no value here/);
});

test('rejects metadata that is too long, at its position', () => {
  const text = fleet.file.text.replace('${NODE}', 'x'.repeat(65_536));
  const open = (): FleetController => unopened(parseFleet({ path: 'fleet.yml', text }));
  expect(open).toThrow(
    expect.objectContaining({
      message: 'fleet.yml:12:27: groups.web.template.metadata: the metadata exceeds 64 KiB',
      fix: 'put large files into the image',
    }),
  );
});

test.for([
  ['metadata', 'template: { metadata: { a: { content: b } } }', 'here delivers no metadata'],
  ['volumes', 'template: { volumes: { data: 64M } }', 'here attaches no volumes'],
  ['console', 'health: { console: up }', 'here has no console to check'],
] as const)('rejects %s where the provider has no channel for it', ([ability, line, message]) => {
  // Machines that boot from the network get no metadata: HTTP would not authenticate it.
  const provider = new WrongProvider();
  provider.capabilities = { ...provider.capabilities, [ability]: false };
  const text = fleet.file.text
    .replace(/ {4}(?:template|health): .*\n/g, '')
    .replace('    size: 2\n', `    size: 2\n    health: { tcp: 80 }\n    ${line}\n`)
    .replace(/ {4}health: \{ tcp: 80 \}\n(?= {4}health)/, '');
  const options = {
    fleet: parseFleet({ path: 'fleet.yml', text }),
    providers: new Map([['here', provider]]),
    openImage: async () => Promise.reject(new Error('opened')),
    logDir: '/nonexistent',
    onEvent: () => undefined,
  };
  expect(() => new FleetController(options)).toThrow(
    expect.objectContaining({
      message: expect.stringContaining(message),
      fix: expect.stringMatching(/./),
    }),
  );
  provider.capabilities = { ...provider.capabilities, [ability]: true };
  expect(new FleetController(options).specs.size).toBe(1);
});
