import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    reporters: ['default', './tools/vitest/plain-summary.ts'],
    disableConsoleIntercept: true,
    include: ['**/test/**/*.test.ts'],
    restoreMocks: true,
    unstubEnvs: true,
  },
});
