import { defineConfig } from 'vitest/config';
import PlainSummary from './tools/vitest/plain-summary.ts';

// What compiles the kernel again, a quarter of an hour of a processor each time.
export default defineConfig({
  test: {
    reporters: ['default', new PlainSummary()],
    testTimeout: 180_000,
    include: ['tools/test/system/*.kernel.ts'],
  },
});
