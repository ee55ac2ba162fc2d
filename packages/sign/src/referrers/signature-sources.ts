import type { Store } from '@lkt/oci';
import type { Registry, RegistryReader } from '@lkt/registry';
import type { SignatureSource } from '../policy/evaluate-policies.ts';

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
  const store: SignatureSource = {
    name: 'the store',
    async *collect({ digest }) {
      const found = await findStore();
      if (found === undefined) return;
      const { collectFromStore } = await import('./collect-signatures.ts');
      yield await collectFromStore(found, digest);
    },
  };
  if (open === undefined) return [store];
  const remote = (
    name: string,
    readersOf: (registry: Registry, domain: string | undefined) => readonly RegistryReader[],
  ): SignatureSource => ({
    name,
    isRemote: true,
    async *collect(image) {
      const { registrySignatures } = await import('./collect-signatures.ts');
      for (const reader of readersOf(await open(), image.domain))
        yield* registrySignatures(reader, image, signal);
    },
  });
  const mirrors = remote('the mirror', (registry, domain) => registry.mirrors(domain));
  const registry = remote('the registry', (itself) => [itself]);
  return hasMirrors ? [store, mirrors, registry] : [store, registry];
}
