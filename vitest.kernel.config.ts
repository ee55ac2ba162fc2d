import { defineConfig } from 'vitest/config';

// What compiles a kernel, a quarter of an hour of a processor, and boots it.
export default defineConfig({
  test: {
    reporters: ['default', './tools/vitest/plain-summary.ts'],
    testTimeout: 180_000,
    include: ['tools/test/system/*.kernel.ts'],
  },
});
