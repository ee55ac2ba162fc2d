import { LktError } from '@lkt/core';
import type { HttpClient } from '@lkt/http';
import { MediaType } from '@lkt/oci';
import { fuzz } from '@lkt/testing/fuzz';
import { test } from 'vitest';
import { requestToken } from '../src/auth/token-service.ts';
import { parseChallenges } from '../src/auth/challenge.ts';
import { typeInside } from '../src/manifests.ts';

test('parseChallenges never fails', async () => {
  const seeds = [
    'Bearer realm="https://auth.example.com/token",service="registry",scope="repository:a:pull"',
    'Basic realm="a, \\"b\\"", Bearer realm=x, Negotiate',
  ];
  await fuzz(
    seeds.map((text) => Buffer.from(text)),
    (input) => parseChallenges(input.toString('latin1')),
    () => false,
  );
});

test('typeInside only rejects with an LktError', async () => {
  const manifest = { mediaType: MediaType.ociManifest, config: {}, layers: [] };
  await fuzz(
    [Buffer.from(JSON.stringify(manifest)), Buffer.from('{"manifests":[]}')],
    typeInside,
    (error) => error instanceof LktError,
  );
});

test('requestToken only rejects an answer with an LktError', async () => {
  const url = new URL('https://registry.example.com/');
  const challenge = { scheme: 'bearer', parameters: { realm: 'https://auth.example.com/token' } };
  const answer = { token: 'abc', access_token: 'def', expires_in: 300, issued_at: '2026-01-01' };
  await fuzz(
    [Buffer.from(JSON.stringify(answer))],
    async (bytes) => {
      const response = {
        status: 200,
        url,
        header: () => undefined,
        body: async function* () {
          yield bytes;
        },
        bytes: async () => bytes,
        discard: async () => undefined,
      };
      const http = { request: async () => response };
      await requestToken(http as unknown as HttpClient, url, challenge, ['x:pull'], undefined);
    },
    (error) => error instanceof LktError,
  );
});
