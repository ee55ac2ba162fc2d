import { describe, expect, it } from 'vitest';
import { checkOrder, supervisionOf } from '../../src/runtime/supervision.ts';
import { runtimeJson } from '../../src/runtime/runtime-json.ts';
import { parseConfig } from '../support.ts';

function after(lines: string): Parameters<typeof checkOrder>[0] {
  const { services } = parseConfig({ path: 'a.yml', text: `services:\n${lines}` });
  return new Map(services.map(({ name, settings }) => [name, settings.after ?? []]));
}

const service = (name: string, ...names: readonly string[]): string =>
  `  - {name: ${name}, image: i, after: [${names.join(', ')}]}\n`;

describe('services with `after`', () => {
  it('may form any acyclic order', () => {
    expect(() =>
      checkOrder(after(service('a', 'b', 'c') + service('b', 'c') + service('c'))),
    ).not.toThrow();
  });

  it.each([
    [service('web', 'databse') + service('database'), '2:35: services[0].after[0]: web starts'],
    [service('a', 'a'), '2:33: services[0].after[0]: services wait for each other: a after a'],
    [
      service('a', 'b') + service('b', 'c') + service('c', 'b'),
      '4:33: services[2].after[0]: services wait for each other: b after c after b',
    ],
  ])('%j', (lines, message) => {
    expect(() => checkOrder(after(lines))).toThrow(message);
  });

  it('may be 10,000 in a row', () => {
    const lines = Array.from({ length: 10_000 }, (_, index) =>
      index === 0 ? service('s0') : service(`s${index}`, `s${index - 1}`),
    );
    expect(() => checkOrder(after(lines.toReversed().join('')))).not.toThrow();
  });
});

it('runtime.json has the supervision of a container, by section', () => {
  const settings = {
    restart: 'always',
    ready: { socket: '/run/x', timeout: 5 },
    onfailure: 'reboot',
    timeout: 30,
  } as const;
  const json = (section: 'onboot' | 'services'): unknown =>
    JSON.parse(runtimeJson({}, [], supervisionOf(settings, section)));
  expect(json('services')).toMatchObject({
    restart: 'always',
    ready: { socket: '/run/x', timeout: 5 },
  });
  expect(json('services')).not.toHaveProperty('onfailure');
  expect(json('services')).not.toHaveProperty('timeout');
  expect(json('onboot')).toMatchObject({ onfailure: 'reboot', timeout: 30 });
  expect(json('onboot')).not.toHaveProperty('restart');
  expect(runtimeJson({}, [], supervisionOf({ restart: 'never' }, 'services'))).toBe(
    runtimeJson({}),
  );
});
