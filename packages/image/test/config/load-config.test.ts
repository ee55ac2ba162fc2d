import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LktError } from '@lkt/core';
import { describe, expect, it } from 'vitest';
import { type LoadedConfig, loadConfig } from '../../src/config/load-config.ts';
import { tempDir } from '../support.ts';

/** Writes the files to a directory, and loads the first. */
async function load(
  files: Readonly<Record<string, string>>,
  set: Readonly<Record<string, string>> = {},
): Promise<LoadedConfig> {
  const dir = tempDir();
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(dir, name, '..'), { recursive: true });
    writeFileSync(join(dir, name), text);
  }
  const [path = '', text = ''] = Object.entries(files)[0] ?? [];
  const file = { path, absolute: join(dir, path), text };
  return loadConfig([file], { set: new Map(Object.entries(set)) });
}

async function loadText(
  text: string,
  set?: Readonly<Record<string, string>>,
): Promise<LoadedConfig> {
  return load({ 'a.yml': text }, set);
}

describe('include', () => {
  it('merges included files first, relative to the including file', async () => {
    const { config, files } = await load({
      'a.yml': 'include: [base/b.yml]\nkernel: {cmdline: a}\ninit: [a]',
      'base/b.yml': 'include: [c.yml]\nkernel: {cmdline: b, binary: b}\ninit: [b]',
      'base/c.yml': 'init: [c]\nfiles: [{path: x, source: y}]',
    });
    expect(config.init.map(({ text }) => text)).toEqual(['c', 'b', 'a']);
    expect(config.kernel).toEqual({ cmdline: 'a', binary: 'b' });
    expect(files.map(({ path }) => path)).toEqual(['base/c.yml', 'base/b.yml', 'a.yml']);
    // Its own paths are relative to it too.
    expect(config.files[0]?.at.file.path).toBe('base/c.yml');
  });

  it.each([
    [{ 'a.yml': 'include: [a.yml]' }, 'a.yml:1:11: include[0]: a.yml includes itself'],
    [{ 'a.yml': 'include: [b.yml]', 'b.yml': 'include: [./a.yml]' }, 'b.yml:1:11: include[0]'],
    [{ 'a.yml': 'include: [gone.yml]' }, 'a.yml:1:11: include[0]: cannot read gone.yml'],
    [{ 'a.yml': 'include: ["."]' }, 'a.yml:1:11: include[0]: cannot read .'],
    [{ 'a.yml': 'include: [/dev/zero]' }, 'a.yml:1:11: include[0]: /dev/zero is a device'],
    [{ 'a.yml': 'include: [b.lock.yml]', 'b.lock.yml': '{}' }, 'b.lock.yml is a lock file'],
    [{ 'a.yml': 'include: ["https://x/b.yml"]' }, 'cannot read https://x/b.yml'],
    [{ 'a.yml': 'include: ["-"]' }, 'cannot read -'],
    [{ 'a.yml': 'include: ["b.yml\\0"]' }, 'a.yml:1:11'],
    [{ 'a.yml': `include: ["${'a'.repeat(300)}"]` }, 'a.yml:1:11: include[0]: cannot read'],
    [{ 'a.yml': `include: ["${'a/'.repeat(3000)}"]` }, 'a.yml:1:11: include[0]: cannot read'],
    [{ 'a.yml': 'include: b.yml' }, 'a.yml:1:10: include: expected a list'],
    [
      { 'a.yml': 'include: [b.yml]', 'b.yml': 'init:\n  - A' },
      'b.yml:2:5: init[0]: "A" is not an image',
    ],
  ])('%j: %s', async (files, message) => {
    const failure = load(files);
    await expect(failure).rejects.toThrow(message);
    await expect(failure).rejects.toBeInstanceOf(LktError);
  });
});

describe('variables', () => {
  it('have their defaults, or the values of --set', async () => {
    const text = `
variables:
  CONSOLE: ttyS0
  SHARES: 5
  QUIET: true
  MOTD:
kernel:
  cmdline: console=\${CONSOLE}
services:
  - name: s
    image: lkt/s:1
    readonly: \${QUIET}
    hostname: \${SHARES}
    uid: \${SHARES}
    resources: {cpu: {shares: "\${SHARES}"}}
files:
  - path: motd
    contents: |
      \${MOTD} $\${MOTD} $MOTD \${MOTD:-x}
`;
    const { config, variables } = await loadText(text, { MOTD: 'Hello', SHARES: '7' });
    expect(config.kernel.cmdline).toBe('console=ttyS0');
    expect(config.services[0]?.settings).toMatchObject({
      readonly: true,
      hostname: '7',
      uid: 7,
      resources: { cpu: { shares: 7 } },
    });
    expect(config.files[0]?.content).toMatchObject({
      text: 'Hello ${MOTD} $MOTD ${MOTD:-x}\n',
    });
    expect(Object.fromEntries(variables)).toEqual({
      CONSOLE: 'ttyS0',
      SHARES: '7',
      QUIET: 'true',
      MOTD: 'Hello',
    });
  });

  it('are rejected in a file without a declaration, and stay text', async () => {
    const plain = await loadText('files: [{path: a, contents: "${HOME}"}]');
    expect(plain.config.files[0]?.content).toMatchObject({ text: '${HOME}' });
    const { config } = await loadText('variables: {X: a}\nkernel: {cmdline: "${X}"}', {
      X: 'x\ninit: [evil]',
    });
    expect(config.kernel.cmdline).toBe('x\ninit: [evil]');
    expect(config.init).toEqual([]);
  });

  it('are shared with included files, whose defaults the including file overrides', async () => {
    const { config } = await load({
      'a.yml': 'include: [b.yml]\nvariables: {X: a}',
      'b.yml': 'variables: {X: b}\nkernel: {cmdline: "${X}"}',
    });
    expect(config.kernel.cmdline).toBe('a');
  });

  it.each<[string, string, Record<string, string>?]>([
    [
      'variables: {X: }\nkernel: {cmdline: "${X}"}',
      'a.yml:2:19: kernel.cmdline: the variable "X" has',
    ],
    ['variables: {XY: a}\nkernel: {cmdline: "${XX}"}', 'there is no variable "XX" in this file'],
    ['variables: {a-b: c}', '"a-b" is not a name for a variable'],
    ['variables: [a]', 'a.yml:1:12: variables: expected a mapping'],
    ['variables: {X: a}', 'no config has a variable "Y"', { Y: 'b' }],
    [
      'variables: {X: a}\nservices: [{name: a, image: b, readonly: "${X}"}]',
      'expected true or false',
    ],
  ])('%j: %s', async (text, message, set) => {
    const failure = loadText(text, set);
    await expect(failure).rejects.toThrow(message);
    await expect(failure).rejects.toBeInstanceOf(LktError);
  });
});

it.each([
  [
    'files: [{path: a, source: /etc/shadow}]',
    'https://x/a.yml:1:27: files[0].source: a downloaded config',
  ],
  ['init: ["@pkg:x"]', 'https://x/a.yml:1:8: init[0]: a downloaded config cannot name files'],
  ['include: [a.yml]', 'https://x/a.yml:1:11: include[0]: a downloaded config cannot include'],
  [
    'trust: {signers: [{images: ["**"], keys: [a.pub]}]}',
    'https://x/a.yml:1:43: trust.signers[0].keys[0]: a downloaded config cannot name files',
  ],
  ['trust: {trustedRoot: a.json}', 'https://x/a.yml:1:22: trust.trustedRoot: a downloaded config'],
])('rejects host files in a downloaded config: %s', async (text, message) => {
  const file = { path: 'https://x/a.yml', absolute: '/x/web.yml', text, isRemote: true };
  await expect(loadConfig([file])).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    message: expect.stringContaining(message) as string,
  });
});

it.each<[string, string, string]>([
  ['after', 'variables: {X: a}\nfiles: [{path: a, source: "${X}"}]', 'variables: {X: /etc/shadow}'],
  ['before', 'variables: {X: }\nfiles: [{path: a, source: "${X}"}]', 'variables: {X: /etc/shadow}'],
  ['after', 'variables: {X: a}\ninit: ["@pkg:${X}"]', 'variables: {X: ../../other}'],
  ['after', 'variables: {X: a}\ntrust: {trustedRoot: "${X}"}', 'variables: {X: /evil.json}'],
])('rejects a value of a downloaded config %s %s', async (where, text, remote) => {
  const local = { path: 'a.yml', absolute: '/x/a.yml', text };
  const web = { path: 'https://x/a.yml', absolute: '/x/web.yml', text: remote, isRemote: true };
  const files = where === 'after' ? [local, web] : [web, local];
  await expect(loadConfig(files)).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    message: expect.stringMatching(/^a\.yml:2:.*the variable "X" has the value of https/) as string,
  });
  const set = new Map([['X', 'b']]);
  await expect(loadConfig(files, { set })).resolves.toBeDefined();
});
