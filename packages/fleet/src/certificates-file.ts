import { readFile } from 'node:fs/promises';
import { LktError } from '@lkt/core';

/**
 * Returns the text of a file of certificates in PEM form.
 * @param variable the variable that names the file
 * @throws LktError NOT_FOUND; CONFIG_INVALID for a file without certificates
 */
export async function readCertificates(path: string, variable?: string): Promise<string> {
  const name = variable === undefined ? path : `${path}, given by ${variable}`;
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new LktError('NOT_FOUND', `cannot read the certificates of ${name}`, { cause });
  });
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  throw new LktError('CONFIG_INVALID', `there is no certificate in ${name}`, {
    fix: 'use a file of certificates in PEM form',
  });
}
