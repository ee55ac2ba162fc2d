import { LktError } from '@lkt/core';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseSigningConfig } from '../src/sigstore/signing-config.ts';

const NOW = new Date('2026-06-01T00:00:00Z');

function service(name: string, majorApiVersion = 1, start = '2026-01-01', end?: string): object {
  const validFor = {
    start: `${start}T00:00:00Z`,
    ...(end === undefined ? {} : { end: `${end}T00:00:00Z` }),
  };
  return { url: `https://${name}.example`, majorApiVersion, validFor, operator: 'example' };
}

function config(change: object = {}): string {
  return JSON.stringify({
    mediaType: 'application/vnd.dev.sigstore.signingconfig.v0.2+json',
    caUrls: [service('ca')],
    rekorTlogUrls: [service('log')],
    rekorTlogConfig: { selector: 'ANY' },
    tsaUrls: [service('tsa')],
    tsaConfig: { selector: 'ANY' },
    ...change,
  });
}

describe('parseSigningConfig', () => {
  it('returns the services', async () => {
    expect(await parseSigningConfig(config(), 'it', NOW)).toEqual({
      fulcioUrl: 'https://ca.example',
      rekorUrl: 'https://log.example',
      rekorVersion: 1,
      tsaUrl: 'https://tsa.example',
    });
  });

  it.each<[string, readonly object[], string]>([
    ['the highest version', [service('one'), service('two', 2)], 'https://two.example'],
    ['no unknown version', [service('three', 3), service('one')], 'https://one.example'],
    ['no unreleased version', [service('zero', 0), service('one')], 'https://one.example'],
    [
      'the newest',
      [service('old', 2, '2026-02-01'), service('new', 2, '2026-03-01')],
      'https://new.example',
    ],
    [
      'none of the future',
      [service('next', 2, '2026-06-02'), service('old', 1, '2026-02-01')],
      'https://old.example',
    ],
    [
      'none of the past',
      [service('gone', 2, '2026-01-01', '2026-05-31'), service('one')],
      'https://one.example',
    ],
    [
      'one until its last moment',
      [service('last', 2, '2026-01-01', '2026-06-01')],
      'https://last.example',
    ],
  ])('selects %s', async (_what, rekorTlogUrls, expected) => {
    const { rekorUrl } = await parseSigningConfig(config({ rekorTlogUrls }), 'it', NOW);
    expect(rekorUrl).toBe(expected);
  });

  it('returns no service of a kind that is missing', async () => {
    const text = config({ rekorTlogUrls: [], rekorTlogConfig: undefined, tsaUrls: undefined });
    expect(await parseSigningConfig(text, 'it', NOW)).toMatchObject({
      rekorUrl: undefined,
      tsaUrl: undefined,
    });
  });

  const two = [service('one'), service('two')];
  it.each<[string, object, string, RegExp]>([
    ['another version', { mediaType: 'x' }, 'CONFIG_INVALID', /is not a Sigstore signing config/],
    [
      'only expired services',
      { tsaUrls: [service('a', 1, '2026-01-01', '2026-01-02')] },
      'CONFIG_INVALID',
      /names no timestamp authority that is usable now/,
    ],
    [
      'no start',
      { caUrls: [{ url: 'https://a', majorApiVersion: 1 }] },
      'CONFIG_INVALID',
      /no certificate authority/,
    ],
    [
      'no selector',
      { rekorTlogConfig: undefined },
      'CONFIG_INVALID',
      /does not say how to select a log/,
    ],
    [
      'all of several logs',
      { rekorTlogUrls: two, rekorTlogConfig: { selector: 'ALL' } },
      'UNSUPPORTED',
      /more than one log/,
    ],
    [
      'two timestamps',
      { tsaUrls: two, tsaConfig: { selector: 'EXACT', count: 2 } },
      'UNSUPPORTED',
      /more than one timestamp authority/,
    ],
  ])('rejects a config with %s', async (_what, change, code, message) => {
    await expect(parseSigningConfig(config(change), 'it', NOW)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as string,
    });
  });

  it('rejects any other document without another error', async () => {
    const field = fc.constantFrom('caUrls', 'rekorTlogUrls', 'rekorTlogConfig', 'tsaUrls');
    const value = fc.oneof(
      fc.jsonValue(),
      fc.array(fc.constantFrom(service('a'), service('b', 2))),
    );
    await fc.assert(
      fc.asyncProperty(fc.dictionary(field, value), async (change) => {
        const error: unknown = await parseSigningConfig(config(change), 'it', NOW).then(
          () => undefined,
          (reason: unknown) => reason,
        );
        expect(error === undefined || error instanceof LktError, String(error)).toBe(true);
      }),
    );
  });

  it('rejects what is not JSON', async () => {
    await expect(parseSigningConfig('{', 'it', NOW)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
  });
});
