import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { digestOf } from '@lkt/core';
import { parseReference } from '@lkt/oci';
import { evaluatePolicies } from '@lkt/sign';
import { describe, expect, it } from 'vitest';
import { mergeConfigs } from '../../src/config/config.ts';
import { readTrustFile } from '../../src/trust/load-policy.ts';
import { tempDir, parseConfig } from '../support.ts';

function newKey(): string {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return publicKey.export({ type: 'spki', format: 'pem' }).toString();
}

const [one, two] = [newKey(), newKey()];

function keys(): string {
  const dir = tempDir();
  mkdirSync(join(dir, 'keys'));
  writeFileSync(join(dir, 'keys/one.pub'), one);
  writeFileSync(join(dir, 'keys/same.pub'), one);
  writeFileSync(join(dir, 'keys/two.pub'), two);
  writeFileSync(join(dir, 'keys/text.pub'), 'text');
  writeFileSync(join(dir, 'root.json'), '{}');
  return dir;
}

const IDENTITY = '{issuer: https://i.example, subject: a@b.example}';
const REPOSITORY = 'repository: https://x.example/a';

function claims(text: string): string {
  return `signers: [{images: [a], identities: [{issuer: b, claims: {${text}}}]}]`;
}

describe('a trust.yml reports position and problem', () => {
  it.each([
    ['[]', '1:1: expected a mapping'],
    ['require: true', '1:1: unknown key "require"'],
    ['required: yes', '1:11: required: expected true or false'],
    ['required: ["**"]', '1:11: required: expected a value'],
    ['unsigned: []', '1:11: unsigned: the list is empty'],
    ['unsigned: ["*"]', '1:12: unsigned[0]: invalid image pattern "*": * cannot match a registry'],
    ['signers: {}', '1:10: signers: expected a list'],
    ['signers: []', '1:10: signers: the list is empty'],
    ['signers: [{keys: [a]}]', '1:11: signers[0]: "images" is missing'],
    ['signers: [{images: [], keys: [a]}]', '1:20: signers[0].images: the list is empty'],
    ['signers: [{images: [a]}]', '1:11: signers[0]: the rule names no signers'],
    ['signers: [{images: [a], keys: []}]', '1:31: signers[0].keys: the list is empty'],
    ['signers: [{images: [a], keys: }]', '1:11: signers[0]: there are no keys and no identities'],
    ['signers: [{images: [a], bindRepository: 1, keys: [b]}]', 'expected true or false'],
    [
      'signers: [{images: [a], bindRepository: true, rebuilders: {keys: [b]}}]',
      '1:41: signers[0].bindRepository: it needs keys or identities to apply to',
    ],
    ['signers: [{images: [a], key: [b]}]', '1:25: unknown key "key" in signers[0]'],
    [
      'signers: [{images: ["a[b]"], keys: [c]}]',
      '1:21: signers[0].images[0]: invalid image pattern "a[b]"',
    ],
    ['signers: [{images: [a], keys: ["env://K"]}]', 'does not take keys from the environment'],
    ['signers: [{images: [a], keys: [1]}]', '1:32: signers[0].keys[0]: expected a string'],
    [
      'signers: [{images: [a], threshold: 0, keys: [b]}]',
      '1:36: signers[0].threshold: 0 is not between 1 and',
    ],
    ['signers: [{images: [a], threshold: 1.5, keys: [b]}]', 'expected a whole number'],
    [
      'signers: [{images: [a], threshold: 2, rebuilders: {keys: [b]}}]',
      '1:36: signers[0].threshold: a threshold needs keys or identities to count',
    ],
    ['signers: [{images: [a], rebuilders: {}}]', '1:37: signers[0].rebuilders: there are no keys'],
    [
      'signers: [{images: [a], rebuilders: {images: [b], keys: [c]}}]',
      'unknown key "images" in signers[0].rebuilders',
    ],
    [
      'signers: [{images: [a], identities: [{subject: a}]}]',
      '1:38: signers[0].identities[0]: "issuer" is missing',
    ],
    [
      'signers: [{images: [a], identities: [{issuer: b}]}]',
      '1:38: signers[0].identities[0]: the identity has neither a subject nor claims',
    ],
    [
      claims('ref: refs/heads/main'),
      '1:58: signers[0].identities[0].claims: "repository" is missing',
    ],
    [
      claims('repository: lkt/lkt'),
      '1:71: signers[0].identities[0].claims.repository: it is not an',
    ],
    [claims('repository: "https://x.example/a/"'), 'it is not an https URL without a slash'],
    [claims('repository: "https://x.example/*"'), '* is not a wildcard'],
    [
      claims(`${REPOSITORY}, workflow: "https://x.example/a/b/w.yml@refs/heads/main"`),
      '.claims.workflow: the workflow has a ref',
    ],
    [claims(`${REPOSITORY}, ref: main`), '1:97: signers[0].identities[0].claims.ref: invalid ref'],
    [claims(`${REPOSITORY}, ref: "refs/*/main"`), '* cannot match the kind of ref'],
    [claims(`${REPOSITORY}, ref: "refs/tags/**"`), '* cannot match a slash'],
    [claims(`${REPOSITORY}, environment: ""`), 'it is empty'],
    [claims(`${REPOSITORY}, branch: main`), 'unknown key "branch"'],
    [
      'signers: [{images: [a], identities: [{issuer: b, subject: "https://x/*"}]}]',
      '1:59: signers[0].identities[0].subject: identities are compared literally',
    ],
    ['signers: [{images: [a], identities: [{issuer: b, subject: ""}]}]', 'it is empty'],
    ['org: [a/*]', '* is not a wildcard in the name of an organisation'],
    ['image: [A]', '1:9: image[0]: "A" is not an image reference'],
  ])('%s', async (text, message) => {
    await expect(readTrustFile({ path: 'trust.yml', text }, tempDir())).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(message) as unknown,
    });
  });

  it.each([
    ['signers: [{images: [a], keys: [keys/none.pub]}]', /1:32: .*there is no key file/],
    ['signers: [{images: [a], keys: [keys/text.pub]}]', /1:32: /],
    [
      'signers: [{images: [a], threshold: 2, keys: [keys/one.pub, keys/same.pub]}]',
      /1:36: .*the threshold is 2, and the number of distinct signers is 1/,
    ],
    [
      'signers: [{images: [a], rebuilders: {threshold: 3, keys: [keys/one.pub, keys/two.pub]}}]',
      /1:49: .*the threshold is 3, and the number of distinct signers is 2/,
    ],
    ['signers: [{images: [a], keys: [/dev/zero]}]', /1:32: .*\/dev\/zero is a device/],
    ['signers: [{images: [a], keys: [keys]}]', /1:32: /],
    ['trustedRoot: /dev/zero', /1:14: trustedRoot: \/dev\/zero is a device/],
    ['trustedRoot: none.json', /1:14: trustedRoot: there is no trusted root at none\.json/],
    ['trustedRoot: root.json', /1:14: trustedRoot: root\.json is not a Sigstore trusted root/],
  ])('%s', async (text, message) => {
    const failure = readTrustFile({ path: 'trust.yml', text }, keys());
    await expect(failure).rejects.toThrow(message);
    await expect(failure).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });
});

describe('a trust.yml', () => {
  it('reads keys from files and text, and counts a key with two names once', async () => {
    const dir = keys();
    const text = JSON.stringify({
      required: true,
      signers: [{ images: ['lkt/*'], threshold: 2, keys: ['keys/one.pub', 'keys/same.pub', two] }],
    });
    const { rules, required } = await readTrustFile({ path: 'trust.yml', text }, dir);
    expect(required.map(({ text: pattern }) => pattern)).toEqual(['**']);
    expect(rules[0]?.signers?.keys.map(({ name }) => name)).toEqual([
      'keys/one.pub',
      expect.stringMatching(/^sha256:/),
    ]);
  });

  it('rejects signatures by identities while the trusted root is missing', async () => {
    const text = `signers: [{images: [a], identities: [${IDENTITY}]}]`;
    const policy = await readTrustFile({ path: 'trust.yml', text }, tempDir());
    const image = { ...parseReference('a'), digest: digestOf('') };
    const { verdict } = await evaluatePolicies(image, [policy], []);
    expect(verdict).toEqual({
      accepted: false,
      reasons: [
        'trust.yml:1 requires 1 of a@b.example (https://i.example) to have signed it, but none has: identities need a trusted root',
      ],
    });
  });

  it("reads LinuxKit's lists as required images", async () => {
    const text = 'image: ["linuxkit/kernel:5.10", alpine]\norg: [linuxkit2, ghcr.io/lkt]';
    const { required } = await readTrustFile({ path: 'trust.yml', text }, tempDir());
    const isRequired = (name: string): boolean =>
      required.some(({ matches }) => matches(parseReference(name)));
    for (const name of ['linuxkit/kernel:1', 'alpine', 'linuxkit2/a', 'ghcr.io/lkt/a/b'])
      expect(isRequired(name)).toBe(true);
    for (const name of ['linuxkit/init', 'linuxkit22/a', 'ghcr.io/other/a', 'lkt/a'])
      expect(isRequired(name)).toBe(false);
  });
});

describe('configs', () => {
  it('keep every policy when merged', () => {
    const parsed = [
      'trust: {required: true}',
      'trust: {required: false}',
      'trust:\n',
      'init: []',
    ].map((text) => parseConfig({ path: 'a.yml', text }));
    expect(mergeConfigs(parsed).trust.map(({ required }) => required.length)).toEqual([1, 0]);
  });
});
