import { createHash, randomBytes } from 'node:crypto';
import type { Service } from './service.ts';

/** AlgorithmIdentifier of SHA-256 (2.16.840.1.101.3.4.2.1). */
const SHA256 = Buffer.from('300d06096086480165030402010500', 'hex');

/**
 * Requests a timestamp for a signature (RFC 3161).
 * @returns the whole TimeStampResp, as bundles hold it
 * @throws NETWORK_FAILED, ACCESS_DENIED
 */
export async function requestTimestamp(
  service: Service,
  path: string,
  signature: Uint8Array,
): Promise<Buffer> {
  const types = { type: 'application/timestamp-query', accept: 'application/timestamp-reply' };
  return service.bytes(await service.post(path, timestampQuery(signature), types));
}

/** Encodes a TimeStampReq: version 1, the SHA-256 of the signature, a nonce, and certReq. */
function timestampQuery(signature: Uint8Array): Buffer {
  const hash = createHash('sha256').update(signature).digest();
  const nonce = randomBytes(6);
  // A positive INTEGER in its shortest form.
  nonce[0] = ((nonce[0] ?? 0) & 0x3f) | 0x40;
  return der(
    0x30,
    der(0x02, Buffer.of(1)),
    der(0x30, SHA256, der(0x04, hash)),
    der(0x02, nonce),
    der(0x01, Buffer.of(0xff)),
  );
}

/** Encodes one element of fewer than 128 bytes. */
function der(tag: number, ...content: readonly Buffer[]): Buffer {
  const bytes = Buffer.concat(content);
  return Buffer.concat([Buffer.of(tag, bytes.length), bytes]);
}
