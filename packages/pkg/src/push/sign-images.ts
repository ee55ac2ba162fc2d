import { type Digest, LktError, type Reporter, silentReporter } from '@lkt/core';
import {
  type Descriptor,
  formatPlatform,
  formatReference,
  type Reference,
  type Store,
} from '@lkt/oci';
import type { Registry } from '@lkt/registry';
import { writtenHere } from '../attest/attest.ts';
import type { CollectedSignatures, SignerId, Signer, Statement } from '@lkt/sign';

/** Who signs, and what is told meanwhile. */
export interface Signing {
  readonly signer: Signer;
  readonly reporter?: Reporter;
}

export interface SignOptions extends Signing {
  readonly store: Store;
  /** Where else signatures are looked for, so that none is made twice; undefined: nowhere. */
  readonly registry: Registry | undefined;
  readonly repository: Reference;
  /** For people. */
  readonly title: string;
  readonly subjects: readonly Descriptor[];
  /** Images of others, which the index among the subjects names. */
  readonly foreign?: readonly Descriptor[];
  readonly signal?: AbortSignal | undefined;
}

/** What was signed, or was signed before. */
export interface SignedImages {
  readonly signer: SignerId;
  /** Signatures and attestations that are new. */
  readonly made: number;
}

/**
 * Signs images, and what builds of this machine have put beside them: SBOMs and provenance, as attestations. Documents
 * from elsewhere are not signed, nor is again what the same signer has signed. All that is signed is in the store then, or nothing is.
 * @throws LktError ACCESS_DENIED, NETWORK_FAILED; SIGNATURE_INVALID when the signer has not signed one of others
 */
export async function signWithDocuments(options: SignOptions): Promise<SignedImages> {
  const { store, repository, subjects, foreign = [], signer, signal, title } = options;
  const { reporter = silentReporter } = options;
  const { signImages } = await import('@lkt/sign');
  const { domain, path } = repository;
  const name = formatReference({ domain, path });
  const id = `sign ${title}`;
  reporter.emit({ kind: 'start', id, title: id });
  try {
    const own = await writtenHere(store);
    const unique = [...new Map(subjects.map((item) => [item.digest, item])).values()];
    const images = await Promise.all(
      unique.map(async (subject) => ({
        subject,
        statements: await documentsOf(store, name, subject.digest, own),
        existing: await collectSignatures(options, subject.digest),
      })),
    );
    const others = await Promise.all(
      foreign.map(async ({ digest, platform }) => ({
        digest,
        name: `${platform === undefined ? 'an image' : formatPlatform(platform)} of ${title}`,
        existing: await collectSignatures(options, digest),
      })),
    );
    const to = { name: { domain, path }, signer, signal };
    const signed = await signImages(store, { images, foreign: others, ...to });
    const made = signed.images.reduce(
      (sum, { bundles, simple }) => sum + bundles.length + (simple === undefined ? 0 : 1),
      0,
    );
    reporter.emit({ kind: 'done', id, cached: made === 0 });
    return { signer: signed.signer, made };
  } catch (error) {
    reporter.emit({ kind: 'failed', id });
    throw error;
  }
}

async function collectSignatures(
  { store, registry, repository, signal }: SignOptions,
  digest: Digest,
): Promise<CollectedSignatures> {
  const { collectFromRegistry, collectFromStore } = await import('@lkt/sign');
  const { domain, path } = repository;
  const local = await collectFromStore(store, digest);
  if (registry === undefined) return local;
  const there = await collectFromRegistry(registry, { domain, path, digest }, signal);
  return { items: [...local.items, ...there.items], unreadable: [] };
}

/** What builds have put beside an image, as statements about it. */
async function documentsOf(
  store: Store,
  name: string,
  digest: Digest,
  own: ReadonlySet<Digest>,
): Promise<readonly Statement[]> {
  const { findAttestations, readAttestation } = await import('@lkt/attest');
  const { SPDX_PREDICATE, statementAbout } = await import('@lkt/sign');
  const statements: Statement[] = [];
  for (const kind of ['provenance', 'sbom'] as const)
    for (const referrer of await findAttestations(store, digest, kind)) {
      if (!own.has(referrer.digest)) continue;
      const document = parse(await readAttestation(store, referrer), referrer);
      statements.push(
        kind === 'provenance'
          ? (document as Statement)
          : statementAbout({ name, digest }, SPDX_PREDICATE, document),
      );
    }
  return statements;
}

function parse(bytes: Buffer, { digest }: Descriptor): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch (cause) {
    throw new LktError('IMAGE_INVALID', `the document ${digest} is not JSON`, { cause });
  }
}
