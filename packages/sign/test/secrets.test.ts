import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createHttpClient } from '@lkt/http';
import { describe, expect, it, onTestFinished } from 'vitest';
import { signImage } from '../src/signing/sign-images.ts';
import { keylessSigner } from '../src/signing/signer.ts';
import { ciIdentity } from '../src/sigstore/token.ts';
import { createFixture, sigstore } from './support.ts';

/** Returns the full text of an error, with stack and causes. */
function allOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return `${error.message} ${error.stack} ${JSON.stringify(error)} ${allOf(error.cause)}`;
}

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => {
      throw new Error('it did not fail');
    },
    (error: unknown) => error,
  );
}

/** Starts a server that gives one response to every request. */
async function answering(
  answer: (body: string) => { status: number; headers?: Record<string, string>; body?: string },
): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const parts: Uint8Array[] = [];
    request.on('data', (part: Uint8Array) => parts.push(part));
    request.on('end', () => {
      const text = Buffer.concat(parts).toString();
      asked.push(`${request.url} ${request.headers.authorization ?? ''} ${text}`);
      const { status, headers, body } = answer(text);
      response.writeHead(status, headers).end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

describe('an identity token', () => {
  it('appears in no error, even if the authority echoes it', async () => {
    const { store, subject, name } = await createFixture();
    const { issuer, url: rekorUrl } = await sigstore();
    const identity = issuer.token('jane@example.org');
    const authority = await answering((body) => ({
      status: 400,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ message: `cannot read ${body} or ${identity.split('.')[1]}` }),
    }));
    const signer = keylessSigner({ identity, fulcioUrl: authority.url, rekorUrl });
    const error = await failure(signImage(store, { subject, name, signer }));
    expect(error).toMatchObject({ code: 'ACCESS_DENIED' });
    for (const part of [identity, ...identity.split('.')]) expect(allOf(error)).not.toContain(part);
    expect(await store.referrers(subject.digest)).toEqual([]);
  });

  it.each([
    ['no token', 'secret-which-is-no-token', /not a JSON Web Token/],
    [
      'no subject',
      `x.${Buffer.from('{"aud":"sigstore"}').toString('base64url')}.x`,
      /has no subject/,
    ],
    [
      'an unverified address',
      `x.${Buffer.from('{"email":"a@b"}').toString('base64url')}.x`,
      /unverified/,
    ],
  ])('with %s is rejected before it is sent', async (_what, identity, message) => {
    const { store, subject, name } = await createFixture();
    const authority = await answering(() => ({ status: 200 }));
    const signer = keylessSigner({
      identity,
      fulcioUrl: authority.url,
      rekorUrl: authority.url,
    });
    const error = await failure(signImage(store, { subject, name, signer }));
    expect(error).toMatchObject({ code: 'ACCESS_DENIED' });
    expect(allOf(error)).toMatch(message);
    expect(allOf(error)).not.toContain(identity);
    expect(authority.asked).toEqual([]);
  });

  it('follows no redirect and goes to no log', async () => {
    const { store, subject, name } = await createFixture();
    const { issuer } = await sigstore();
    const identity = issuer.token('jane@example.org');
    const elsewhere = await answering(() => ({ status: 200, body: '{}' }));
    const authority = await answering(() => ({
      status: 307,
      headers: { location: `${elsewhere.url}/api/v2/signingCert` },
    }));
    const signer = keylessSigner({
      identity,
      fulcioUrl: authority.url,
      rekorUrl: elsewhere.url,
    });
    const error = await failure(signImage(store, { subject, name, signer }));
    expect(error).toMatchObject({ code: 'NETWORK_FAILED' });
    expect(elsewhere.asked).toEqual([]);
  });

  it.each(['http://sigstore.example', 'ftp://sigstore.example', 'sigstore'])(
    'is sent only over https, not to %s',
    async (address) => {
      const { store, subject, name } = await createFixture();
      const { issuer, url } = await sigstore();
      const identity = issuer.token('jane@example.org');
      for (const urls of [
        { fulcioUrl: address, rekorUrl: url },
        { fulcioUrl: url, rekorUrl: address },
      ]) {
        const signer = keylessSigner({ identity, ...urls });
        const error = await failure(signImage(store, { subject, name, signer }));
        expect(error).toMatchObject({ code: 'CONFIG_INVALID' });
      }
    },
  );
});

describe('the identity of a CI job', () => {
  it('is the token in SIGSTORE_ID_TOKEN', async () => {
    await using http = createHttpClient();
    expect(await ciIdentity({ SIGSTORE_ID_TOKEN: 'a.b.c' })?.token(http)).toBe('a.b.c');
    expect(ciIdentity({})).toBeUndefined();
  });

  it("is requested from GitHub with the job's secret and Sigstore's audience", async () => {
    const server = await answering(() => ({ status: 200, body: '{"value":"a.b.c"}' }));
    await using http = createHttpClient();
    const env = {
      ACTIONS_ID_TOKEN_REQUEST_URL: `${server.url}/token?api=1`,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'the-secret',
    };
    expect(await ciIdentity(env)?.token(http)).toBe('a.b.c');
    expect(server.asked).toEqual(['/token?api=1&audience=sigstore Bearer the-secret ']);
  });

  it('is not requested over http, and its secret appears in no error', async () => {
    await using http = createHttpClient({ backoff: [] });
    const secret = 'the-secret';
    const refusing = await answering(() => ({ status: 403, body: secret }));
    for (const address of ['http://github.example/token', refusing.url]) {
      const env = {
        ACTIONS_ID_TOKEN_REQUEST_URL: address,
        ACTIONS_ID_TOKEN_REQUEST_TOKEN: secret,
      };
      const error = await failure(ciIdentity(env)?.token(http) ?? Promise.resolve());
      expect(allOf(error)).not.toContain(secret);
    }
  });
});
