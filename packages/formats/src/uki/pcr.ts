// https://systemd.io/TPM2_PCR_MEASUREMENTS/ (PCR 11)
import { createHash } from 'node:crypto';

/** The order in which systemd-stub measures existing sections (src/fundamental/uki.c). */
const MEASURED = [
  '.linux',
  '.osrel',
  '.cmdline',
  '.initrd',
  '.ucode',
  '.splash',
  '.dtb',
  '.uname',
  '.sbat',
];

/**
 * Returns PCR 11 of a TPM's SHA-256 bank after systemd-stub has measured the sections of a unified
 * kernel image, with no other measurements: for each section its name, then its content.
 * @param digests SHA-256 of the contents, by section name
 * @returns 64 hex digits
 */
export function pcr11(digests: ReadonlyMap<string, Uint8Array>): string {
  let register = Buffer.alloc(32);
  const extend = (digest: Uint8Array): void => {
    register = createHash('sha256').update(register).update(digest).digest();
  };
  for (const name of MEASURED) {
    const digest = digests.get(name);
    if (digest === undefined) continue;
    extend(createHash('sha256').update(`${name}\0`).digest());
    extend(digest);
  }
  return register.toString('hex');
}
