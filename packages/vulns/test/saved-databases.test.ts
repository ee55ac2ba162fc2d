import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zipOf } from '@lkt/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  describeStaleness,
  saveDatabase,
  type SavedDatabase,
  savedDatabases,
} from '../src/saved-databases.ts';

const URL = 'https://example.org/debian.json';
const GO_URL = 'https://e.org/all.zip';
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
    chunks(zipOf({ 'GO-1.json': '{"id":"GO-1"}' })),
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

/** Saves an archive with an OSV record for each time of a last change. */
async function saveGo(times: readonly string[], url = GO_URL, now = NOW): Promise<SavedDatabase> {
  const records = times.map((modified, index) => [
    `GO-${index}.json`,
    JSON.stringify({ id: `GO-${index}`, modified, withdrawn: modified }),
  ]);
  return saveDatabase(dir, { name: 'go', url }, chunks(zipOf(Object.fromEntries(records))), now);
}

test('keeps the earlier database if its newest record is later', async () => {
  const saved = await saveGo(['2025-12-30T00:00:00Z', '2025-12-31T10:00:00Z', '2024-01-01']);
  expect(saved.modified).toBe('2025-12-31T10:00:00.000Z');
  await expect(saveGo(['2025-12-31T09:59:59Z'])).rejects.toMatchObject({
    code: 'OUTDATED',
    message: `the database go at ${GO_URL} is older than the saved one`,
    cause: { message: expect.stringContaining('2025-12-31T09:59:59.000Z') },
  });
  await expect(saveGo(['no time'])).rejects.toMatchObject({ code: 'OUTDATED' });
  expect(await savedDatabases(dir)).toEqual([saved]);
  expect(readdirSync(join(dir, 'go'))).toHaveLength(2);
});

test('replaces a database with a newer one, an equally old one, and one of another address', async () => {
  await saveGo(['2025-12-30T00:00:00Z']);
  await saveGo(['2025-12-30T00:00:00Z', '2025-12-29T00:00:00Z']);
  await saveGo(['2025-12-31T00:00:00Z']);
  const other = await saveGo(['2025-12-01T00:00:00Z'], 'https://e.org/go.zip');
  expect(await savedDatabases(dir)).toEqual([other]);
});

test('ignores records with a time to come', async () => {
  const saved = await saveGo(['2025-12-30T00:00:00Z', '2027-01-01T00:00:00Z']);
  expect(saved.modified).toBe('2025-12-30T00:00:00.000Z');
  await saveGo(['2025-12-30T00:00:01Z']);
});

test('compares the times that a server states of a database without any', async () => {
  const saveTracker = async (modified: string | undefined): ReturnType<typeof saveDatabase> =>
    saveDatabase(dir, { name: 'debian', url: URL, modified }, chunks(TRACKER), NOW);
  const saved = await saveTracker('Thu, 01 Jan 2026 10:00:00 GMT');
  expect(saved.modified).toBe('2026-01-01T10:00:00.000Z');
  await expect(saveTracker('Thu, 01 Jan 2026 09:00:00 GMT')).rejects.toMatchObject({
    code: 'OUTDATED',
  });
  await expect(saveTracker(undefined)).rejects.toMatchObject({ code: 'OUTDATED' });
  expect(await savedDatabases(dir)).toEqual([saved]);
  appendFileSync(saved.path, ' ');
  writeFileSync(join(dir, 'debian', 'saved.json'), '{');
  await saveTracker('Thu, 01 Jan 2026 09:00:00 GMT');
});

const stale = (fetched: string, modified?: string): string | undefined =>
  describeStaleness({ name: 'go', fetched, modified }, NOW);

test('describes a database that was not fetched or changed for long', () => {
  expect(stale('2025-12-26T03:04:06Z')).toBeUndefined();
  expect(stale('2025-12-25T03:04:05Z')).toMatch(/^the database go was fetched 8 days ago/);
  expect(stale('2026-01-02T00:00:00Z', '2025-12-03T03:04:05Z')).toBeUndefined();
  expect(stale('2026-01-02T00:00:00Z', '2025-12-02T03:04:05Z')).toMatch(/changed 31 days ago/);
});

test('returns the other databases if a first download was interrupted', async () => {
  const saved = await save(TRACKER);
  mkdirSync(join(dir, 'go'));
  writeFileSync(join(dir, 'go', '.half.zip'), 'PK');
  expect(await savedDatabases(dir)).toEqual([saved]);
});

test('rejects an entry without its file', async () => {
  const { path } = await save(TRACKER);
  rmSync(path);
  await expect(savedDatabases(dir)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
});

test('rejects a file that changed', async () => {
  const { path } = await save(TRACKER);
  appendFileSync(path, ' ');
  await expect(savedDatabases(dir)).rejects.toMatchObject({
    code: 'DIGEST_MISMATCH',
  });
});

const SHA256 = 'sha256:8e0002b70274a83ee7fe40c3ddbc8a8ee71ac59dd9d9b183ebe8146c92ca4165';

test.each([
  '',
  '{}',
  '{"url":"u","fetched":"t","file":"../x","digest":"sha256:00"}',
  `{"url":"u","fetched":"t","file":"x","digest":"${SHA256}"}`,
])('rejects a damaged entry: %s', async (text) => {
  await save(TRACKER);
  writeFileSync(join(dir, 'debian', 'saved.json'), text);
  await expect(savedDatabases(dir)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
});
