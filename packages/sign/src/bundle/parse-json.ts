import { duplicateKey } from '@lkt/core';
import { VerificationError } from '../verify/verification-error.ts';

/**
 * Parses a JSON object or list in which no object has a key twice: programs disagree about which
 * value counts, so the meaning of a signature over such a document would be ambiguous.
 * @param what the document, for messages
 * @throws VerificationError
 */
export function parseJson(text: string, what: string): object {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new VerificationError(`${what} is not JSON`);
  }
  if (typeof value !== 'object' || value === null)
    throw new VerificationError(`${what} is not JSON`);
  const key = duplicateKey(text);
  if (key !== undefined) throw new VerificationError(`${what} has the key "${key}" twice`);
  return value;
}
