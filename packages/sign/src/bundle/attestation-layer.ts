import { X509Certificate } from 'node:crypto';
import type { Descriptor, Store } from '@lkt/oci';
import type { SerializedBundle } from '@sigstore/bundle';
import { DSSE_ENVELOPE } from './formats.ts';
import { layerAnnotations } from './layer-annotations.ts';
import type { LogEntry } from '../sigstore/rekor.ts';
import { SIGNATURE_PREDICATE, type Statement } from '../statement/statement.ts';

/**
 * Returns the layer of cosign 2's tag `.att` for an attestation in a bundle. The layer has the same
 * envelope and log entry, so nothing is signed again. Undefined if the bundle is a plain signature,
 * is logged by Rekor 2, or is not in the form that lkt writes.
 */
export async function attestationLayer(
  store: Store,
  bundle: Buffer,
): Promise<Descriptor | undefined> {
  try {
    const { verificationMaterial, dsseEnvelope } = JSON.parse(
      bundle.toString(),
    ) as SerializedBundle;
    const statement = Buffer.from(dsseEnvelope?.payload ?? '', 'base64').toString();
    const { predicateType } = JSON.parse(statement) as Statement;
    if (predicateType === SIGNATURE_PREDICATE) return undefined;
    const { certificate, tlogEntries, timestampVerificationData } = verificationMaterial;
    const entry = tlogEntries[0] as LogEntry | undefined;
    // cosign 2 reads no entry of Rekor 2.
    if (entry !== undefined && entry.inclusionPromise === undefined) return undefined;
    const annotations = {
      // Empty here: the envelope has the signature.
      ...layerAnnotations({
        signature: '',
        certificates:
          certificate === undefined
            ? []
            : [new X509Certificate(Buffer.from(certificate.rawBytes, 'base64'))],
        entry,
        timestamp: timestampVerificationData?.rfc3161Timestamps[0]?.signedTimestamp,
      }),
      predicateType,
    };
    // The log entry has the digest of this text: keep its bytes.
    const text = Buffer.from(JSON.stringify(dsseEnvelope));
    return { mediaType: DSSE_ENVELOPE, ...(await store.writeBytes(text)), annotations };
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof SyntaxError)) throw error;
    return undefined;
  }
}
