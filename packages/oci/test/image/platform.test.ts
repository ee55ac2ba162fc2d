import { LktError } from '@lkt/core';
import { expect, test } from 'vitest';
import { formatPlatform, parsePlatform, platformMatches } from '../../src/index.ts';

test.each([
  ['linux/amd64', 'linux/amd64'],
  ['linux/arm64', 'linux/arm64'],
  ['linux/arm64/v8', 'linux/arm64'],
  ['linux/arm/v7', 'linux/arm/v7'],
])('normalizes %s to %s', (text, canonical) => {
  expect(formatPlatform(parsePlatform(text))).toBe(canonical);
});

test.each(['', 'amd64', 'linux/', '/amd64', 'linux/amd64/v1/x', 'Linux/amd64', 'linux/amd 64'])(
  'rejects %j',
  (text) => {
    expect(() => parsePlatform(text)).toThrow(LktError);
  },
);

test.each([
  ['linux/amd64', 'linux/amd64', true],
  ['linux/arm64/v8', 'linux/arm64', true],
  ['linux/arm/v7', 'linux/arm', true],
  ['linux/arm', 'linux/arm/v7', false],
  ['linux/arm/v6', 'linux/arm/v7', false],
  ['linux/amd64', 'linux/arm64', false],
  ['windows/amd64', 'linux/amd64', false],
])('an image for %s runs on %s: %s', (offered, wanted, matches) => {
  expect(platformMatches(parsePlatform(offered), parsePlatform(wanted))).toBe(matches);
});
