/** `lkt.cjs` of the npm package: runs the build beside it, without a check for changes. */
import { createRequire } from 'node:module';
import { type Main, runMain } from './run-main.ts';

const load = createRequire(import.meta.url);

void runMain(load('./main.cjs') as Main);
