/**
 * `dist/lkt.cjs`, which `lkt` starts: runs the build if the files that it was made from are unchanged, else the sources. Every
 * command waits for this, so it imports next to nothing.
 */
import { createRequire } from 'node:module';
import { currentBuild } from './manifest.ts';

const root = `${import.meta.dirname}/..`;
const load = createRequire(import.meta.url);

void start();

async function start(): Promise<void> {
  const { done } = loadMain();
  await done;
  // Node would take 10 ms to take itself apart. A slow reader of the output still counts as active.
  if (process.getActiveResourcesInfo().length === 0) process.exit();
}

/** `packages/cli/src/main.ts` runs the command when it is loaded. */
function loadMain(): { readonly done: Promise<void> } {
  const build = currentBuild(root);
  try {
    if (build !== undefined) return load(`${build}/main.cjs`) as ReturnType<typeof loadMain>;
  } catch {
    // The build is damaged: the sources do the same, more slowly.
  }
  return load(`${root}/packages/cli/src/main.ts`) as ReturnType<typeof loadMain>;
}
