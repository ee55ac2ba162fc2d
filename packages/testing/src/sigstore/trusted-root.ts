import { createHash, type KeyObject } from 'node:crypto';

interface Instance {
  readonly url: string;
  readonly log: KeyObject;
  readonly tiledLog: { readonly key: KeyObject; readonly id: Buffer };
  readonly certificateLog: KeyObject;
  readonly certificates: readonly Uint8Array[];
  readonly timestampCertificates: readonly Uint8Array[];
}

/** Returns the trusted root of an instance (`trusted_root.json`). */
export function trustedRoot(instance: Instance): object {
  const { url } = instance;
  // Starts a day ago, so that clocks with a precision of seconds never precede it.
  const validFor = { start: new Date(Date.now() - 24 * 3_600_000).toISOString() };
  const log = (key: KeyObject, id?: Buffer): object => {
    const spki = key.export({ type: 'spki', format: 'der' });
    const keyId = (id ?? createHash('sha256').update(spki).digest()).toString('base64');
    return {
      baseUrl: url,
      hashAlgorithm: 'SHA2_256',
      publicKey: {
        rawBytes: spki.toString('base64'),
        keyDetails: id === undefined ? 'PKIX_ECDSA_P256_SHA_256' : 'PKIX_ED25519',
        validFor,
      },
      logId: { keyId },
    };
  };
  const authority = (certificates: readonly Uint8Array[]): object => ({
    subject: { organization: 'sigstore.mock', commonName: 'sigstore' },
    uri: url,
    certChain: {
      certificates: certificates.map((certificate) => ({
        rawBytes: Buffer.from(certificate).toString('base64'),
      })),
    },
    validFor,
  });
  return {
    mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
    tlogs: [log(instance.log), log(instance.tiledLog.key, instance.tiledLog.id)],
    certificateAuthorities: [authority(instance.certificates)],
    ctlogs: [log(instance.certificateLog)],
    timestampAuthorities:
      instance.timestampCertificates.length === 0
        ? []
        : [authority(instance.timestampCertificates)],
  };
}

/** Returns the signing config of an instance with a log of Rekor 2 (`signing_config.json`). */
export function signingConfig(url: string): object {
  const validFor = { start: new Date(Date.now() - 24 * 3_600_000).toISOString() };
  const service = (address: string, majorApiVersion: number): object => ({
    url: address,
    majorApiVersion,
    validFor,
    operator: 'sigstore.mock',
  });
  return {
    mediaType: 'application/vnd.dev.sigstore.signingconfig.v0.2+json',
    caUrls: [service(url, 1)],
    rekorTlogUrls: [service(url, 2), service(url, 1)],
    rekorTlogConfig: { selector: 'ANY' },
    tsaUrls: [service(`${url}/api/v1/timestamp`, 1)],
    tsaConfig: { selector: 'ANY' },
  };
}
