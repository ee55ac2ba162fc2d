import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseYaml } from '@lkt/core';
import { expect, it } from 'vitest';
import { IMAGE_CONFIG, imageConfigLabel } from '../../src/build-yml/image-config.ts';

const dir = join(process.env['LKT_VECTORS'] ?? '', 'parsed');

/** The labels that LinuxKit made from its own build.yml files. */
const labels = new Set<string>();
for (const name of await readdir(dir)) {
  JSON.parse(await readFile(join(dir, name), 'utf8'), (key, value: unknown) => {
    if (key === 'pkgLabel' && typeof value === 'string') labels.add(value);
    return value;
  });
}

it('has labels to compare', () => expect(labels.size).toBeGreaterThan(20));

it.each([...labels])('%s', (label) => {
  expect(write(label)).toBe(label);
  // The order of the keys in build.yml does not matter.
  const turned = JSON.stringify(JSON.parse(label), (_key, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).toReversed())
      : value,
  );
  expect(write(turned)).toBe(label);
});

/** Returns JSON, which is also YAML. */
function write(text: string): string {
  return imageConfigLabel(IMAGE_CONFIG.read(parseYaml({ path: 'build.yml', text })));
}
