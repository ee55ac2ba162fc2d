import { describe, expect, test } from 'vitest';
import { parseTrustedRoot } from '../src/sigstore/trusted-root.ts';

const MEDIA_TYPE = 'application/vnd.dev.sigstore.trustedroot+json;version=0.1';
const validFor = { start: '2026-01-01T00:00:00Z' };
const log = { publicKey: { rawBytes: 'AA==', validFor }, logId: { keyId: 'AA==' } };
const authority = { certChain: { certificates: [{ rawBytes: 'AA==' }] }, validFor };
const root = {
  mediaType: MEDIA_TYPE,
  tlogs: [log],
  ctlogs: [log],
  certificateAuthorities: [authority],
  timestampAuthorities: [authority],
};

describe('parseTrustedRoot', () => {
  test('reads a root whose authorities and logs have a start', async () => {
    const { message } = await parseTrustedRoot(JSON.stringify(root), 'root.json');
    expect(message.tlogs).toHaveLength(1);
  });

  test.each([
    ['a log', { tlogs: [{ ...log, publicKey: { rawBytes: 'AA==' } }] }],
    ['a certificate log', { ctlogs: [{ ...log, publicKey: { rawBytes: 'AA==', validFor: {} } }] }],
    ['a certificate authority', { certificateAuthorities: [{ ...authority, validFor: {} }] }],
    ['a timestamp authority', { timestampAuthorities: [{ ...authority, validFor: undefined }] }],
  ])('rejects %s without a start of its validity', async (_, change) => {
    const text = JSON.stringify({ ...root, ...change });
    await expect(parseTrustedRoot(text, 'root.json')).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      cause: { message: 'an authority or log has no validFor.start' },
    });
  });
});
