import { X509Certificate } from 'node:crypto';
import type { Descriptor, Store } from '@lkt/oci';
import { DSSE_ENVELOPE } from './formats.ts';
import { layerAnnotations } from './layer-annotations.ts';
import type { LogEntry } from '../sigstore/rekor.ts';
import { SIGNATURE_PREDICATE, type Statement } from '../statement/statement.ts';

/** A bundle as `bundle.ts` writes it. */
interface WrittenBundle {
  readonly verificationMaterial: {
    readonly certificate?: { readonly rawBytes: string };
    readonly tlogEntries: readonly LogEntry[];
    readonly timestampVerificationData: {
      readonly rfc3161Timestamps: readonly { readonly signedTimestamp: string }[];
    };
  };
  readonly dsseEnvelope: { readonly payload: string };
}

/**
 * An attestation in a bundle as cosign 2 has it, a layer of the tag `.att`: the same envelope and the same entry of the
 * log, so nothing is signed again. Undefined for a bundle that is a signature and no more, or not as lkt writes it.
 */
export async function attestationLayer(
  store: Store,
  bundle: Buffer,
): Promise<Descriptor | undefined> {
  try {
    const { verificationMaterial, dsseEnvelope } = JSON.parse(bundle.toString()) as WrittenBundle;
    const statement = Buffer.from(dsseEnvelope.payload, 'base64').toString();
    const { predicateType } = JSON.parse(statement) as Statement;
    if (predicateType === SIGNATURE_PREDICATE) return undefined;
    const { certificate, tlogEntries, timestampVerificationData } = verificationMaterial;
    const annotations = {
      // Signatures of images have theirs there; here it is in the envelope.
      ...layerAnnotations({
        signature: '',
        certificates:
          certificate === undefined
            ? []
            : [new X509Certificate(Buffer.from(certificate.rawBytes, 'base64'))],
        entry: tlogEntries[0],
        timestamp: timestampVerificationData.rfc3161Timestamps[0]?.signedTimestamp,
      }),
      predicateType,
    };
    // The log has the digest of this text.
    const text = Buffer.from(JSON.stringify(dsseEnvelope));
    return { mediaType: DSSE_ENVELOPE, ...(await store.writeBytes(text)), annotations };
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof SyntaxError)) throw error;
    return undefined;
  }
}
