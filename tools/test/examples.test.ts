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
