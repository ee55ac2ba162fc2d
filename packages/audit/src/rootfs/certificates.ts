import { X509Certificate } from 'node:crypto';
import type { Finding } from './rules.ts';

/** Bytes. A bundle of all authorities has 250 kB. */
const MAX_BUNDLE_BYTES = 4 * 2 ** 20;
/** Bytes. A file whose first part has no certificate is not a certificate file. */
const FIRST_PART_BYTES = 27 * 1024;
const BEGIN = '-----BEGIN CERTIFICATE-----';
const PEM = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

/**
 * Finds expired PEM certificates. Ignores self-signed authorities: an expired one is not trusted
 * and does no harm.
 */
export class CertificateScan {
  readonly #path: string;
  readonly #now: Date;
  #text: string | undefined = '';
  #hasBegin = false;
  /** Time at which the first currently valid certificate expires. */
  until: Date | undefined;

  constructor(path: string, now: Date) {
    this.#path = path;
    this.#now = now;
  }

  add(piece: Uint8Array): void {
    if (this.#text === undefined) return;
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    const size = this.#text.length + bytes.length;
    if (size > FIRST_PART_BYTES) this.#hasBegin ||= hasBegin(this.#text, bytes);
    const isOther = size > FIRST_PART_BYTES && !this.#hasBegin;
    this.#text =
      isOther || size > MAX_BUNDLE_BYTES ? undefined : this.#text + bytes.toString('latin1');
  }

  *findings(): Generator<Finding> {
    for (const [pem] of this.#text?.matchAll(PEM) ?? []) {
      const certificate = parse(pem);
      if (certificate === undefined) continue;
      if (certificate.ca && certificate.subject === certificate.issuer) continue;
      const { validToDate } = certificate;
      if (validToDate >= this.#now) {
        if (this.until === undefined || validToDate < this.until) this.until = validToDate;
        continue;
      }
      const day = certificate.validToDate.toISOString().slice(0, 10);
      const subject = certificate.subject.replaceAll('\n', ', ');
      const what = `contains a certificate that expired on ${day}: ${subject}`;
      yield { rule: 'certificate', path: this.#path, what };
    }
  }
}

/**
 * Reports whether a certificate begins in a text or the bytes after it. These may be a whole
 * program, which is searched faster than its text would be made.
 */
function hasBegin(text: string, bytes: Buffer): boolean {
  return (
    bytes.includes(BEGIN) || (text + bytes.toString('latin1', 0, BEGIN.length)).includes(BEGIN)
  );
}

function parse(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}
