import { existsSync } from 'node:fs';
import { join } from 'node:path';

const dist = join(import.meta.dirname, '../../../dist/lkt.cjs');

/**
 * The file that `lkt` runs: `dist/lkt.cjs`, which falls back to the sources if they have changed;
 * without `dist/`, the sources.
 */
export const main: string = existsSync(dist) ? dist : join(import.meta.dirname, '../src/main.ts');
