import { appendFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zipOf } from '@lkt/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { saveDatabase, savedDatabases } from '../src/saved-databases.ts';

const URL = 'https://example.org/debian.json';
/** Of Debian's tracker. */
const TRACKER = '{"a":{"CVE-1":{"releases":{}}}}';
const NOW = new Date('2026-01-02T03:04:05Z');

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'lkt-saved-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

async function* chunks(...texts: readonly (string | Buffer | Error)[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) {
    if (text instanceof Error) throw text;
    yield Buffer.from(text);
  }
}

async function save(...texts: readonly (string | Error)[]): ReturnType<typeof saveDatabase> {
  return saveDatabase(dir, { name: 'debian', url: URL }, chunks(...texts), NOW);
}

test('returns nothing for a directory that does not exist', async () => {
  expect(await savedDatabases(join(dir, 'none'))).toEqual([]);
});

test('records address, time and digest', async () => {
  const saved = await save(TRACKER.slice(0, 9), TRACKER.slice(9));
  expect(saved).toMatchObject({
    url: URL,
    fetched: '2026-01-02T03:04:05.000Z',
    digest: 'sha256:8e0002b70274a83ee7fe40c3ddbc8a8ee71ac59dd9d9b183ebe8146c92ca4165',
  });
  expect(await savedDatabases(dir)).toEqual([saved]);
});

test('replaces the earlier download, and only that', async () => {
  await save(TRACKER);
  const go = await saveDatabase(
    dir,
    { name: 'go', url: 'https://e.org/all.zip' },
    chunks(zipOf('GO-1.json', '{"id":"GO-1"}')),
    NOW,
  );
  const again = await save(`${TRACKER} `);
  expect(await savedDatabases(dir)).toEqual([again, go]);
  expect(readdirSync(join(dir, 'debian'))).toHaveLength(2);
});

test('keeps the earlier download if the next one fails', async () => {
  const saved = await save(TRACKER);
  await expect(save('{', new Error('connection lost'))).rejects.toThrow('connection lost');
  expect(await savedDatabases(dir)).toEqual([saved]);
  expect(readdirSync(join(dir, 'debian'))).toHaveLength(2);
});

test.each(['', '{', '{}', '<html>', '{"a":{"CVE-1":{"releases":{}},"CVE-2":{}}}'])(
  'keeps the earlier download if the next one is no database: %s',
  async (text) => {
    const saved = await save(TRACKER);
    await expect(save(text)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    expect(await savedDatabases(dir)).toEqual([saved]);
    expect(readdirSync(join(dir, 'debian'))).toHaveLength(2);
  },
);

test('rejects a file that changed', async () => {
  const { path } = await save(TRACKER);
  appendFileSync(path, ' ');
  await expect(savedDatabases(dir)).rejects.toMatchObject({
    code: 'DIGEST_MISMATCH',
  });
});

test.each(['', '{}', '{"url":"u","fetched":"t","file":"../x","digest":"sha256:00"}'])(
  'rejects a damaged entry: %s',
  async (text) => {
    await save(TRACKER);
    writeFileSync(join(dir, 'debian', 'saved.json'), text);
    await expect(savedDatabases(dir)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  },
);
