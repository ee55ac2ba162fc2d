import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { imageReferencesOf } from '../../src/config/config.ts';
import {
  type ConfigFile,
  inputStates,
  loadConfig,
  type LoadedConfig,
} from '../../src/config/load-config.ts';
import { formatLock, lockPathOf } from '../../src/config/lock.ts';
import { pinLock, type PinnedLock } from '../../src/config/pin-lock.ts';
import { pinnedReference } from '../../src/config/pinned-reference.ts';
import { wantedFrom } from '../../src/pins/config-pins.ts';
import { tempDir } from '../support.ts';

const [zero, one, two] = ['0', '1', '2'].map((digit) => `sha256:${digit.repeat(64)}`);

function configIn(dir: string, text: string, name = 'a.yml'): ConfigFile {
  writeFileSync(join(dir, name), text);
  return { path: name, absolute: join(dir, name), text };
}

async function load(text: string, lock?: string): Promise<LoadedConfig> {
  const dir = tempDir();
  if (lock !== undefined) writeFileSync(join(dir, 'a.lock.yml'), lock);
  return loadConfig([configIn(dir, text)]);
}

async function statesWith(lock?: string): Promise<readonly string[]> {
  return [...inputStates(await load('init: []', lock)).values()];
}

function update(
  loaded: LoadedConfig,
  pins: Readonly<Record<string, string>> = {},
  others: Readonly<Record<string, string>> = {},
): PinnedLock | undefined {
  const [file] = loaded.files;
  if (file === undefined) throw new Error('no file');
  const wanted = wantedFrom(new Map(Object.entries(pins)), new Map(Object.entries(others)));
  return pinLock(file, loaded.config, loaded, wanted);
}

it.each([
  ['a.yml', 'a.lock.yml'],
  ['dir/a.yaml', 'dir/a.lock.yml'],
  ['a', 'a.lock.yml'],
  ['a.b.yml', 'a.b.lock.yml'],
])('the lock file of %s is %s', (config, lock) => {
  expect(lockPathOf(config)).toBe(lock);
});

describe('a lock file', () => {
  it('adds digests to references, also with variables, but not to those that have one', async () => {
    const text = `variables: {V: '1'}\ninit: ["x.io/a:\${V}", "x.io/a:1@${two}", x.io/b]\n`;
    const lock = `images: {"x.io/a:1": "${zero}", x.io/b: "${one}"}`;
    const references = imageReferencesOf((await load(text, lock)).config);
    expect(references.map(pinnedReference)).toEqual([
      `x.io/a:1@${zero}`,
      `x.io/a:1@${two}`,
      `x.io/b@${one}`,
    ]);
    expect(references.map(({ full }) => full)).toEqual(references.map(pinnedReference));
  });

  it('applies to its own config only', async () => {
    const dir = tempDir();
    writeFileSync(join(dir, 'b.lock.yml'), `images: {x.io/a: "${zero}"}`);
    configIn(dir, 'init: [x.io/a]', 'b.yml');
    const { config, warnings } = await loadConfig([
      configIn(dir, 'include: [b.yml]\ninit: [x.io/a]'),
    ]);
    const digests = imageReferencesOf(config).map(({ reference }) => reference?.digest);
    expect(digests).toEqual([zero, undefined]);
    expect(warnings).toEqual([]);
  });

  it('is not read for a config without a file', async () => {
    const dir = tempDir();
    writeFileSync(join(dir, 'a.lock.yml'), 'no lock');
    const file = configIn(dir, 'init: [x.io/a]');
    for (const kind of [{ isStream: true }, { isRemote: true }])
      await expect(loadConfig([{ ...file, ...kind }])).resolves.toMatchObject({ warnings: [] });
    await expect(loadConfig([file])).rejects.toThrow(/^a\.lock\.yml:1:1: expected a mapping/);
  });

  it('is an input, and so is its absence', async () => {
    expect(await statesWith()).toContain('absent');
    expect(await statesWith('images: {}')).not.toContain('absent');
    expect(await statesWith('images: {}')).not.toEqual(await statesWith('images: { }'));
  });

  it.each([
    ['[]', 'a.lock.yml:1:1: expected a mapping'],
    ['{}', 'a.lock.yml:1:1: "images" is missing'],
    ['images: {a: b}', 'a.lock.yml:1:13: images.a: "b" is not a sha256 or sha512 digest'],
    [`images: {a: "${zero}", a: "${one}"}`, 'a.lock.yml:1:'],
    ['#'.repeat(2 ** 20 + 1), 'a.lock.yml is too large for a lock file'],
  ])('with %.40s is rejected', async (lock, message) => {
    await expect(load('init: []', lock)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(message) as unknown,
    });
  });

  it('that is a directory is rejected', async () => {
    const dir = tempDir();
    mkdirSync(join(dir, 'a.lock.yml'));
    await expect(loadConfig([configIn(dir, 'init: []')])).rejects.toThrow(
      'a.lock.yml is not a regular file',
    );
  });
});

describe('an updated lock file', () => {
  it('has packages, new tags and kept tags, sorted, and nothing else', async () => {
    const config = `init: ["x.io/z:1", lkt/init, "x.io/b:2", "x.io/c@${two}"]`;
    const old = `images: {"x.io/z:1": "${two}", gone: "${one}"}`;
    const pins = { 'lkt/init': `lkt/init:abc@${zero}` };
    const found = update(await load(config, old), pins, { 'x.io/b:2': `x.io/b:2@${one}` });
    expect(found?.after.text).toBe(
      formatLock('a.yml', new Map()).replace(
        'images: {}\n',
        `images:\n  lkt/init: ${zero}\n  x.io/b:2: ${one}\n  x.io/z:1: ${two}\n`,
      ),
    );
    expect(found?.changes).toEqual([
      { line: 1, from: `gone@${one}`, to: '' },
      { line: 3, from: '', to: `lkt/init@${zero}` },
      { line: 4, from: '', to: `x.io/b:2@${one}` },
    ]);
    const again = await load(config, found?.after.text);
    expect(again.warnings).toEqual([]);
    expect(update(again, pins)).toBeUndefined();
  });

  it('keeps the entries of other values of variables', async () => {
    const config = `variables: {V: '1'}\ninit: ["x.io/a:\${V}"]\n`;
    const loaded = await load(config, `images: {"x.io/a:1": "${one}", "x.io/a:2": "${two}"}`);
    expect(loaded.warnings).toEqual([]);
    expect(update(loaded)).toBeUndefined();
  });

  it('rejects a package whose tag names other sources', async () => {
    const loaded = await load('init: ["lkt/init:old"]');
    expect(() => update(loaded, { 'lkt/init': `lkt/init:abc@${zero}` })).toThrow(
      expect.objectContaining({
        code: 'PIN_STALE',
        fix: 'write lkt/init:abc, or lkt/init without a tag',
      }),
    );
  });
});
