import type { X509Certificate } from 'node:crypto';
import { LayerAnnotation } from './formats.ts';
import type { LogEntry } from '../sigstore/rekor.ts';
import { certificatePem } from '../signing/signer.ts';

/** What is known of a signature, besides what is signed. */
interface Signature {
  readonly signature: string;
  readonly certificates?: readonly X509Certificate[];
  readonly entry?:
    | Pick<
        LogEntry,
        'canonicalizedBody' | 'inclusionPromise' | 'integratedTime' | 'logId' | 'logIndex'
      >
    | undefined;
  /** In base64. */
  readonly timestamp?: string | undefined;
}

/** As cosign 2 has it: beside the layer that is signed. */
export function layerAnnotations({
  signature,
  certificates = [],
  entry,
  timestamp,
}: Signature): Record<string, string> {
  const annotations: Record<string, string> = { [LayerAnnotation.signature]: signature };
  const [leaf, ...rest] = certificates;
  if (leaf !== undefined) annotations[LayerAnnotation.certificate] = certificatePem(leaf);
  if (rest.length > 0) annotations[LayerAnnotation.chain] = rest.map(certificatePem).join('');
  if (entry !== undefined)
    annotations[LayerAnnotation.logEntry] = JSON.stringify({
      SignedEntryTimestamp: entry.inclusionPromise.signedEntryTimestamp,
      Payload: {
        body: entry.canonicalizedBody,
        integratedTime: Number(entry.integratedTime),
        logIndex: Number(entry.logIndex),
        logID: Buffer.from(entry.logId.keyId, 'base64').toString('hex'),
      },
    });
  if (timestamp !== undefined)
    annotations[LayerAnnotation.timestamp] = JSON.stringify({ SignedRFC3161Timestamp: timestamp });
  return annotations;
}
