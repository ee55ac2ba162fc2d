import { LktError } from '@lkt/core';

/** A block of textual encoding (RFC 7468). */
const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----([A-Za-z0-9+/=\s]*)-----END \1-----/g;

/**
 * Returns the only PEM block of `text`.
 * @param name of the key, for messages
 * @throws KEY_INVALID
 */
export function onePemBlock(text: string, name: string): { label: string; content: Buffer } {
  const [block, ...more] = text.matchAll(BLOCK);
  if (block === undefined || more.length > 0)
    throw new LktError(
      'KEY_INVALID',
      `${name} has ${block === undefined ? 'no key' : 'more than one key'} in PEM form`,
    );
  const [, label = '', content = ''] = block;
  return { label, content: Buffer.from(content, 'base64') };
}

/** Encodes a PEM block, with lines of 64 characters and a final newline. */
export function toPem(label: string, content: Uint8Array): string {
  const lines = Buffer.from(content)
    .toString('base64')
    .match(/.{1,64}/g);
  return [`-----BEGIN ${label}-----`, ...(lines ?? []), `-----END ${label}-----`, ''].join('\n');
}
