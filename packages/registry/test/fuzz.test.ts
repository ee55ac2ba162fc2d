import { LktError } from '@lkt/core';
import { MediaType } from '@lkt/oci';
import { fuzz } from '@lkt/testing/fuzz';
import { test } from 'vitest';
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
