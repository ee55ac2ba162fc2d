#!/usr/bin/env node
/**
 * What `lkt` starts: the program, from its bundle when that is of these very sources, else from the sources. Imports
 * next to nothing, as every command waits for it.
 */
import { findBundle, loadBundle } from './bundle/find.ts';

const bundle = findBundle();
if (bundle === undefined) {
  const { done } = await import('./main.ts');
  await done;
  const { makeBundleLater } = await import('./bundle/later.ts');
  makeBundleLater();
} else {
  loadBundle(bundle);
}
