import {
  type Digest,
  readJson,
  type Reporter,
  reportStep,
  silentReporter,
  uniqueBy,
} from '@lkt/core';
import {
  type Descriptor,
  familiarReference,
  formatPlatform,
  formatReference,
  type Reference,
  type Store,
} from '@lkt/oci';
import type { Registry } from '@lkt/registry';
import { ownAttestations } from '../attest/own-attestations.ts';
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
  /** Name of the images. Its tag is for messages only. */
  readonly target: Reference;
  /** Images of other signers that an index among the subjects names. */
  readonly foreign?: readonly Descriptor[];
  /** Sign the statements alone, not the images. */
  readonly statementsOnly?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** The result of signing. */
export interface SignedImages {
  readonly signer: SignerId;
  /** Number of new signatures and attestations. */
  readonly made: number;
}

/** An image, with statements about it. */
interface SignSubject {
  readonly subject: Descriptor;
  readonly statements: readonly Statement[];
}

/**
 * Signs images and attests their documents: the SBOMs and provenance that builds on this machine
 * wrote. Skips documents from registries and everything that the same signer signed before. Adds
 * all signatures to the store, or none.
 * @throws ACCESS_DENIED, NETWORK_FAILED
 * @throws SIGNATURE_INVALID if the signer has not signed one of the `foreign` images
 */
export async function signWithDocuments(
  subjects: readonly Descriptor[],
  options: SignOptions,
): Promise<SignedImages> {
  const { store, target } = options;
  const { domain, path } = target;
  const name = formatReference({ domain, path });
  const own = await ownAttestations(store);
  const unique = uniqueBy(subjects, ({ digest }) => digest);
  const images = unique.map(async (subject) => ({
    subject,
    statements: await documentsOf(store, name, subject.digest, own),
  }));
  return signStatements(await Promise.all(images), options);
}

/** Signs images and statements about them. Skips everything that the same signer signed before. */
export async function signStatements(
  subjects: readonly SignSubject[],
  options: SignOptions,
): Promise<SignedImages> {
  const { store, target, foreign = [], reporter = silentReporter, ...rest } = options;
  const { signImages } = await import('@lkt/sign');
  const title = familiarReference(target);
  const id = `sign ${title}`;
  const work = async (): Promise<SignedImages> => {
    const images = subjects.map(async (image) => ({
      ...image,
      existing: await collectSignatures(options, image.subject.digest),
    }));
    const others = foreign.map(async ({ digest, platform }) => ({
      digest,
      name: `${platform === undefined ? 'an image' : formatPlatform(platform)} of ${title}`,
      existing: await collectSignatures(options, digest),
    }));
    const signed = await signImages(store, {
      ...rest,
      name: target,
      images: await Promise.all(images),
      foreign: await Promise.all(others),
    });
    const made = signed.images.reduce(
      (sum, { bundles, simple }) => sum + bundles.length + (simple === undefined ? 0 : 1),
      0,
    );
    return { signer: signed.signer, made };
  };
  return reportStep(reporter, { id, title: id }, work, ({ made }) => made === 0);
}

async function collectSignatures(
  { store, registry, target: { domain, path }, signal }: SignOptions,
  digest: Digest,
): Promise<CollectedSignatures> {
  const { collectFromRegistry, collectFromStore } = await import('@lkt/sign');
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
      const document = readJson(await readAttestation(store, referrer), (value) => value, {
        code: 'IMAGE_INVALID',
        what: `invalid document ${referrer.digest}`,
      });
      statements.push(
        kind === 'provenance'
          ? (document as Statement)
          : statementAbout({ name, digest }, SPDX_PREDICATE, document),
      );
    }
  return statements;
}
