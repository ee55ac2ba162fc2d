/**
 * `dist/lkt.cjs`, which `lkt` starts: runs the build if the sources are unchanged, else the
 * sources. Every command waits for it, so it imports little.
 */
import { createRequire } from 'node:module';
import { currentBuild } from './manifest.ts';

const root = `${import.meta.dirname}/..`;
const load = createRequire(import.meta.url);

void start();

async function start(): Promise<void> {
  const { done } = loadMain();
  await done;
  // Saves Node's cleanup, 10 ms. Output that its reader has not taken yet counts as active.
  if (process.getActiveResourcesInfo().length === 0) process.exit();
}

/** `packages/cli/src/main.ts` runs the command when it is loaded. */
function loadMain(): { readonly done: Promise<void> } {
  const build = currentBuild(root);
  try {
    if (build !== undefined) return load(`${build}/main.cjs`) as ReturnType<typeof loadMain>;
  } catch {
    // The build is damaged; the sources do the same, only slower.
  }
  return load(`${root}/packages/cli/src/main.ts`) as ReturnType<typeof loadMain>;
}
