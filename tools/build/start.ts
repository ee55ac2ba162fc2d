/**
 * `dist/lkt.cjs`, which `lkt` starts: runs the build if the sources are unchanged, else the
 * sources. Every command waits for it, so it imports little.
 */
import { createRequire } from 'node:module';
import { currentBuild } from './manifest.ts';
import { type Main, runMain } from './run-main.ts';

const root = `${import.meta.dirname}/..`;
const load = createRequire(import.meta.url);

void runMain(loadMain());

function loadMain(): Main {
  const build = currentBuild(root);
  try {
    if (build !== undefined) return load(`${build}/main.cjs`) as Main;
  } catch {
    // The build is damaged; the sources do the same, only slower.
  }
  return load(`${root}/packages/cli/src/main.ts`) as Main;
}
