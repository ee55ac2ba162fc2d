import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

const top = join(import.meta.dirname, '../..');

describe.each(
  globSync(['examples/*.yml', 'examples/fleet/redis.yml', 'projects/*/*.yml'], {
    cwd: top,
  }).toSorted(),
)('%s', (path) => {
  const text = readFileSync(join(top, path), 'utf8');
  const [, section = ''] = /^services:\n((?: .*\n|\n)*)/m.exec(text) ?? [];
  const services = section.split(/^(?= {2}- name: )/m).filter((one) => one.includes('- name: '));

  test('restarts its services when they fail', () => {
    expect(services.length > 0).toBe(text.includes('\nservices:'));
    for (const service of services) expect(service).toMatch(/^ {4}restart: (on-failure|always)$/m);
  });
});

test('all examples pin the same version of an image', () => {
  const pins = new Map<string, Set<string>>();
  for (const path of globSync(['examples/*.yml', 'examples/fleet/redis.yml'], { cwd: top }))
    for (const [, name = '', pin = ''] of readFileSync(join(top, path), 'utf8').matchAll(
      /(lkt\/[a-z0-9_-]+):([0-9a-f]{40}@sha256:[0-9a-f]{64})/g,
    ))
      pins.set(name, (pins.get(name) ?? new Set()).add(pin));
  const several = [...pins].filter(([, versions]) => versions.size > 1);
  expect(several).toEqual([]);
  expect(pins.size).toBeGreaterThan(10);
});
