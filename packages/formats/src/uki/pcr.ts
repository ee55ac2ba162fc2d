// https://systemd.io/TPM2_PCR_MEASUREMENTS/ (PCR 11)
import { createHash } from 'node:crypto';

/** The order in which systemd's stub measures the sections that there are (src/fundamental/uki.c). */
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
 * What register 11 of a TPM has, in its bank for SHA-256, when systemd's stub has measured the sections of a unified
 * kernel image and nobody else anything: for each its name, then its content.
 * @param digests of the contents, by name
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
