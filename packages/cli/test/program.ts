import { existsSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../../..');
const dist = join(root, 'dist/lkt.cjs');

/** The file that `lkt` runs: `dist/lkt.cjs`, which itself runs the sources if they have changed; the sources without `dist/`. */
export const main: string = existsSync(dist) ? dist : join(root, 'packages/cli/src/main.ts');
