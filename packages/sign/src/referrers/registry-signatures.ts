import type { Registry, RegistryReader } from '@lkt/registry';
import type { SignatureSource } from '../policy/evaluate-policies.ts';
import type { CollectedSignatures } from './collected-signatures.ts';

/**
 * Returns a source that collects signatures from registries or mirrors. Loads its reader and opens
 * the registry at the first use.
 * @param name for reports
 * @param open opens the registry; called for each image
 * @param readers returns the readers to query for the registry at `domain`
 */
export function registrySignatures(
  name: string,
  open: () => Promise<Registry>,
  readers: (registry: Registry, domain: string) => readonly RegistryReader[],
  signal?: AbortSignal,
): SignatureSource {
  return {
    name,
    collect: async (image) => {
      const { collectFromRegistry } = await import('./collect-signatures.ts');
      const found: CollectedSignatures[] = [];
      for (const reader of readers(await open(), image.domain))
        found.push(await collectFromRegistry(reader, image, signal));
      return {
        items: found.flatMap(({ items }) => items),
        unreadable: found.flatMap(({ unreadable }) => unreadable),
      };
    },
  };
}
