import { LktError } from '@lkt/core';

/** A block of textual encoding (RFC 7468). */
export interface PemBlock {
  readonly label: string;
  readonly content: Buffer;
}

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----([A-Za-z0-9+/=\s]*)-----END \1-----/g;

function pemBlocks(text: string): PemBlock[] {
  return [...text.matchAll(BLOCK)].map(([, label = '', content = '']) => ({
    label,
    content: Buffer.from(content, 'base64'),
  }));
}

/**
 * Returns the only PEM block of `text`.
 * @param name of the key, for messages
 * @throws KEY_INVALID
 */
export function onePemBlock(text: string, name: string): PemBlock {
  const [block, ...more] = pemBlocks(text);
  if (block === undefined || more.length > 0)
    throw new LktError(
      'KEY_INVALID',
      `${name} has ${block === undefined ? 'no key' : 'more than one key'} in PEM form`,
    );
  return block;
}

/** Encodes a PEM block, with lines of 64 characters and a final newline. */
export function toPem(label: string, content: Uint8Array): string {
  const lines = Buffer.from(content)
    .toString('base64')
    .match(/.{1,64}/g);
  return [`-----BEGIN ${label}-----`, ...(lines ?? []), `-----END ${label}-----`, ''].join('\n');
}
