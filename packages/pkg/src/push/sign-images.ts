import { type Digest, LktError, type Reporter, silentReporter } from '@lkt/core';
import {
  type Descriptor,
  formatPlatform,
  formatReference,
  type Reference,
  type Store,
} from '@lkt/oci';
import type { Registry } from '@lkt/registry';
import { ownAttestations } from '../attest/attester.ts';
import type { CollectedSignatures, SignerId, Signer, Statement } from '@lkt/sign';

/** A signer, and the receiver of progress events. */
export interface Signing {
  readonly signer: Signer;
  readonly reporter?: Reporter;
}

export interface SignOptions extends Signing {
  readonly store: Store;
  /** A registry to search for existing signatures, so that nothing is signed twice. */
  readonly registry: Registry | undefined;
  readonly repository: Reference;
  /** Name of the image for messages. */
  readonly title: string;
  readonly subjects: readonly Descriptor[];
  /** Images of other signers that an index among the subjects names. */
  readonly foreign?: readonly Descriptor[];
  readonly signal?: AbortSignal | undefined;
}

/** The result of signing. */
export interface SignedImages {
  readonly signer: SignerId;
  /** Number of new signatures and attestations. */
  readonly made: number;
}

/**
 * Signs images and attests their documents: the SBOMs and provenance that builds on this machine
 * wrote. Skips documents from registries and everything that the same signer signed before. Adds
 * all signatures to the store, or none.
 * @throws ACCESS_DENIED, NETWORK_FAILED
 * @throws SIGNATURE_INVALID if the signer has not signed one of the `foreign` images
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
    const own = await ownAttestations(store);
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

/** Returns statements with the documents that builds on this machine wrote about an image. */
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
