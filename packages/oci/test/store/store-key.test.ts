import { execFile } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { loadStoreKey } from '../../src/store/store-key.ts';

const MODULE = join(import.meta.dirname, '../../src/store/store-key.ts');
let home: string;
let secret: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'lkt-key-'));
  secret = join(home, '.local/state/lkt/store-secret');
  onTestFinished(() => rmSync(home, { recursive: true }));
});

const load = (variables: Readonly<Record<string, string>> = {}): string =>
  loadStoreKey({ home, variables });

describe('loadStoreKey', () => {
  it('creates a secret that only the user can read, and keeps it', () => {
    const umask = process.umask(0);
    let key: string;
    try {
      key = load();
    } finally {
      process.umask(umask);
    }
    expect(key).toMatch(/^[0-9a-f]{64}$/);
    expect(load()).toBe(key);
    expect(statSync(secret).mode & 0o777).toBe(0o600);
    expect(statSync(dirname(secret)).mode & 0o077).toBe(0);
    expect(readdirSync(dirname(secret))).toEqual(['store-secret']);
    expect(readFileSync(secret, 'utf8')).toContain(key);
  });

  it('returns the same to processes that start at once', async () => {
    const script = `const { loadStoreKey } = await import(process.argv[1]);
      process.stdout.write(loadStoreKey({ home: process.argv[2], variables: {} }));`;
    const run = promisify(execFile);
    const started = Array.from({ length: 8 }, async () =>
      run(process.execPath, ['--no-warnings', '--eval', script, MODULE, home]),
    );
    const keys = (await Promise.all(started)).map(({ stdout }) => stdout);
    expect(new Set(keys)).toEqual(new Set([load()]));
    expect(readdirSync(dirname(secret))).toEqual(['store-secret']);
  });

  it('prefers LKT_STORE_KEY, and refuses one that is not a key', () => {
    expect(load({ LKT_STORE_KEY: 'c'.repeat(64) })).toBe('c'.repeat(64));
    expect(readdirSync(home)).toEqual([]);
    for (const bad of ['c'.repeat(63), 'C'.repeat(64), 'password'])
      expect(() => load({ LKT_STORE_KEY: bad })).toThrow(/^LKT_STORE_KEY is not 64 lower-case hex/);
  });

  it('keeps the secret in XDG_STATE_HOME, unless that is relative', () => {
    const state = join(home, 'state');
    const key = load({ XDG_STATE_HOME: state });
    expect(readFileSync(join(state, 'lkt/store-secret'), 'utf8')).toBe(`${key}\n`);
    expect(load({ XDG_STATE_HOME: 'state', LKT_STORE_KEY: '' })).not.toBe(key);
    expect(readdirSync(dirname(secret))).toEqual(['store-secret']);
  });

  it.each<[string, RegExp, () => void]>([
    [
      'that others can read',
      /^other users have access to .*store-secret$/,
      () => chmodSync(secret, 0o640),
    ],
    [
      'whose directory others can write',
      /^other users have access to .*lkt$/,
      () => chmodSync(dirname(secret), 0o770),
    ],
    ['that is empty', /is not a store secret of lkt$/, () => writeFileSync(secret, '')],
    [
      'that is not a key',
      /is not a store secret of lkt$/,
      () => writeFileSync(secret, 'x'.repeat(64)),
    ],
    [
      'that is a symlink',
      /^cannot keep a secret in /,
      () => {
        writeFileSync(join(home, 'other'), `${'d'.repeat(64)}\n`, { mode: 0o600 });
        rmSync(secret);
        symlinkSync(join(home, 'other'), secret);
      },
    ],
    [
      'that is a directory',
      /is not a store secret of lkt$/,
      () => {
        rmSync(secret);
        mkdirSync(secret, { mode: 0o700 });
      },
    ],
  ])('refuses a secret %s', (_, message, spoil) => {
    load();
    spoil();
    expect(() => load()).toThrow(message);
  });

  it.runIf(process.getuid?.() === 0)('refuses a secret of another user', () => {
    load();
    chownSync(secret, 1000, 1000);
    expect(() => load()).toThrow(/^.*store-secret belongs to another user$/);
    chownSync(secret, 0, 0);
    chownSync(dirname(secret), 1000, 1000);
    expect(() => load()).toThrow(/^.*lkt belongs to another user$/);
  });

  it('creates no home', () => {
    const nobody = join(home, 'nonexistent');
    expect(() => loadStoreKey({ home: nobody, variables: {} })).toThrow(
      /^cannot keep a secret in /,
    );
    expect(readdirSync(home)).toEqual([]);
  });
});
