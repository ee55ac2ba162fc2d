import { LktError } from '@lkt/core';

/** RFC 7468: one block of textual encoding. */
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

/** The one block of `text`. @throws LktError KEY_INVALID; `name` says what is read */
export function onePemBlock(text: string, name: string): PemBlock {
  const [block, ...more] = pemBlocks(text);
  if (block === undefined || more.length > 0)
    throw new LktError(
      'KEY_INVALID',
      `${name} holds ${block === undefined ? 'no key' : 'more than one key'} in PEM form`,
    );
  return block;
}

export function toPem(label: string, content: Uint8Array): string {
  const lines = Buffer.from(content)
    .toString('base64')
    .match(/.{1,64}/g);
  return [`-----BEGIN ${label}-----`, ...(lines ?? []), `-----END ${label}-----`, ''].join('\n');
}
