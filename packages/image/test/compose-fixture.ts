import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Store } from '@lkt/oci';
import { composeImage } from '../src/compose.ts';
import type { ComposedImage } from '../src/built-image.ts';
import type { ComposeOptions } from '../src/compose-options.ts';
import { PLATFORM, tempDir } from './support.ts';

export async function compose(
  store: Store,
  text: string,
  options: Partial<ComposeOptions> = {},
): Promise<ComposedImage & { read: (name: string) => Buffer; outDir: string }> {
  const outDir = options.outDir ?? tempDir();
  const result = await composeImage({
    configs: [{ path: 'system.yml', text }],
    store,
    format: ['kernel+initrd'],
    outDir,
    name: 'system',
    platform: PLATFORM,
    homeDir: outDir,
    ...options,
  });
  return { ...result, outDir, read: (name) => readFileSync(join(outDir, name)) };
}
