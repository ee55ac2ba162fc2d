import { createAuthority, type Fault } from '@lkt/testing';
import { describe, expect, it } from 'vitest';
import { at, client, failure, methods, newImage, newStore, serve } from './support.ts';

describe('upload addresses', () => {
  it.each([
    [
      'another host',
      'http://other.test/v2/up',
      /redirects uploads to http:\/\/other\.test\/v2\/up, which/,
    ],
    ['the same host', 'http://127.0.0.1/v2/up', /cannot push blob/],
  ])('over http on %s are rejected or upgraded', async (_where, location, message) => {
    using tls = createAuthority();
    const registry = await serve({ tls });
    const store = await newStore();
    const image = await newImage(store);
    const fault: Fault = { kind: 'respond', status: 202, headers: { location } };
    registry.fault({ method: 'POST', path: /uploads/, times: 99 }, fault);
    const error = await failure(client({ ca: [tls.ca] }).pushImage(store, image, at(registry)));
    expect(error.message).toMatch(message);
    // A registry behind a TLS proxy may state http for itself.
    expect(methods(registry, /^\/v2\/up/).includes('PUT')).toBe(location.includes('127.0.0.1'));
  });
});
