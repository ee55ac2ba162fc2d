import { defineConfig } from 'vitest/config';
import PlainSummary from './tools/vitest/plain-summary.ts';

// What compiles a kernel, a quarter of an hour of a processor, and boots it.
export default defineConfig({
  test: {
    reporters: ['default', new PlainSummary()],
    testTimeout: 180_000,
    include: ['tools/test/system/*.kernel.ts'],
  },
});
