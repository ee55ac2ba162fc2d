import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { apiReport } from '../../release/api-report.ts';
import { LIBRARIES } from '../../release/libraries.ts';

const root = join(import.meta.dirname, '../../..');

test.each(LIBRARIES)('packages/%s/api.txt lists what other projects may import', (library) => {
  const text = readFileSync(join(root, 'packages', library, 'api.txt'), 'utf8');
  expect(text, 'run node tools/release/api-report.ts').toBe(apiReport(library));
});

test('lists each entry point, and the types that only signatures name', () => {
  const text = apiReport('oci');
  expect(text).toMatch(/^# @lkt\/oci$/m);
  expect(text).toMatch(/^# @lkt\/oci\/files$/m);
  const [exported = '', used = ''] = text.split('# not exported');
  expect(exported).toContain('export declare function parseReference(');
  expect(exported).not.toContain('interface ImportOptions');
  expect(used).toContain('export interface ImportOptions {');
});
