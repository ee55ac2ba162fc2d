import { chmod, mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LktError, type ProgressEvent } from '@lkt/core';
import { expect, test } from 'vitest';
import { asCalledBy, warnAsCalled } from '../../src/help/as-called.ts';
import { render } from '../../src/output/error-report.ts';

const ids = ['pin', 'cache:ls', 'cache:verify', 'build'];
const installed = '/home/a/my-os/node_modules/@lkt/cli/dist/1/lkt.cjs';
const npm = {
  LKT_NAME: 'lkt',
  npm_command: 'exec',
  PATH: '/home/a/my-os/node_modules/.bin:/nonexistent',
};

test('writes commands as a user of npx calls them', () => {
  const asCalled = asCalledBy(npm, installed, ids);
  expect(asCalled('run: lkt pin images/a.yml')).toBe('run: npx lkt pin images/a.yml');
  expect(asCalled('delete them with lkt cache verify --remove; lkt builds them again')).toBe(
    'delete them with npx lkt cache verify --remove; lkt builds them again',
  );
  for (const text of ['add the collection lkt to lkt.yml', './lkt pin', 'npx lkt pin', 'lkt/pin'])
    expect(asCalled(text)).toBe(text);
  const error = new LktError('PIN_STALE', 'a.yml:1:1: stale', { fix: 'run: lkt pin a.yml' });
  expect(render(error, asCalled)).toMatch(/\n {2}fix: run: npx lkt pin a\.yml$/);
});

test('writes the commands of warnings as a user calls them, and no other events', () => {
  const seen: ProgressEvent[] = [];
  const asCalled = asCalledBy(npm, installed, ids);
  const reporter = warnAsCalled({ emit: (event) => seen.push(event) }, asCalled);
  reporter.emit({ kind: 'warning', text: 'it is full; list its contents: lkt cache ls' });
  reporter.emit({ kind: 'log', id: 'a', text: 'lkt pin\n' });
  expect(seen).toEqual([
    { kind: 'warning', text: 'it is full; list its contents: npx lkt cache ls' },
    { kind: 'log', id: 'a', text: 'lkt pin\n' },
  ]);
});

test('names the package where npx fetched it for one run', () => {
  const fetched = '/home/a/.npm/_npx/0123/node_modules/@lkt/cli/dist/1/lkt.cjs';
  expect(asCalledBy(npm, fetched, ids)('run: lkt pin')).toBe('run: npx @lkt/cli pin');
});

test('keeps the name where a shell finds lkt, and outside npm', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-path-'));
  await writeFile(join(dir.path, 'lkt'), '');
  await chmod(join(dir.path, 'lkt'), 0o755);
  const both = { ...npm, PATH: `${npm.PATH}:${dir.path}` };
  const { npm_command: _, ...shell } = npm;
  const { LKT_NAME: __, ...checkout } = npm;
  for (const variables of [both, shell, checkout])
    expect(asCalledBy(variables, installed, ids)('run: lkt pin')).toBe('run: lkt pin');
});
