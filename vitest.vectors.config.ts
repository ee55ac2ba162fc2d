import { resolve } from 'node:path';
import { defineConfig } from 'vitest/config';
import PlainSummary from './tools/vitest/plain-summary.ts';

// Comparisons with outputs of the real LinuxKit, which are kept outside the repository: LKT_VECTORS names the directory.
export default defineConfig({
  test: {
    reporters: ['default', new PlainSummary()],
    testTimeout: 180_000,
    include: ['**/test/**/*.vectors.ts'],
    env: {
      LKT_VECTORS: resolve(process.env['LKT_VECTORS'] ?? '../shared/vectors'),
    },
  },
});
