import type { Store } from '@lkt/oci';
import type { Registry, RegistryReader } from '@lkt/registry';
import type { SignatureSource } from '../policy/evaluate-policies.ts';
import type { NamedImage } from '../policy/policy.ts';
import type * as Readers from './collect-signatures.ts';
import type { CollectedSignatures } from './collected-signatures.ts';

/** Options of `signatureSources`. Functions are called at the first use. */
export interface SignatureSourceOptions {
  /** Returns the store if it exists. */
  readonly findStore: () => Promise<Store | undefined>;
  /** Opens the registries; undefined: only the store is a source. */
  readonly openRegistry: (() => Promise<Registry>) | undefined;
  /** Whether the registries have mirrors. */
  readonly hasMirrors: boolean;
  readonly signal?: AbortSignal;
}

/**
 * Returns the sources of an image's signatures: the store, mirrors of its registry, and the
 * registry.
 */
export function signatureSources(options: SignatureSourceOptions): readonly SignatureSource[] {
  const { findStore, openRegistry: open, hasMirrors, signal } = options;
  const store = source('the store', async ({ collectFromStore }, { digest }) => {
    const found = await findStore();
    return found === undefined ? [] : [await collectFromStore(found, digest)];
  });
  if (open === undefined) return [store];
  const remote = (
    name: string,
    readersOf: (registry: Registry, domain: string) => readonly RegistryReader[],
  ): SignatureSource =>
    source(name, async ({ collectFromRegistry }, image) => {
      const found: CollectedSignatures[] = [];
      for (const reader of readersOf(await open(), image.domain))
        found.push(await collectFromRegistry(reader, image, signal));
      return found;
    });
  const mirrors = remote('the mirror', (registry, domain) => registry.mirrors(domain));
  const registry = remote('the registry', (itself) => [itself]);
  return hasMirrors ? [store, mirrors, registry] : [store, registry];
}

/** Returns a source that loads its reader at the first use. */
function source(
  name: string,
  collect: (readers: typeof Readers, image: NamedImage) => Promise<readonly CollectedSignatures[]>,
): SignatureSource {
  return {
    name,
    collect: async (image) => {
      const found = await collect(await import('./collect-signatures.ts'), image);
      return {
        items: found.flatMap(({ items }) => items),
        unreadable: found.flatMap(({ unreadable }) => unreadable),
      };
    },
  };
}
