import type { X509Certificate } from 'node:crypto';
import { LayerAnnotation } from './formats.ts';
import type { LogEntry } from '../sigstore/rekor.ts';

/** A signature with its verification material. */
interface Signature {
  readonly signature: string;
  readonly certificates?: readonly X509Certificate[];
  readonly entry?: LogEntry | undefined;
  /** TimeStampResp, in base64. */
  readonly timestamp?: string | undefined;
}

/** Returns the annotations that cosign 2 writes on the layer with the signed payload. */
export function layerAnnotations({
  signature,
  certificates = [],
  entry,
  timestamp,
}: Signature): Record<string, string> {
  const annotations: Record<string, string> = { [LayerAnnotation.signature]: signature };
  const [leaf, ...rest] = certificates;
  if (leaf !== undefined) annotations[LayerAnnotation.certificate] = leaf.toString();
  if (rest.length > 0) annotations[LayerAnnotation.chain] = rest.join('');
  if (entry?.inclusionPromise !== undefined)
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
