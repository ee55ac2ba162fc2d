import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findTrustFiles } from '../src/workspace/trust-file.ts';

let dir: string;
beforeEach(() => {
  dir = realpathSync(mkdtempSync(join(tmpdir(), 'lkt-trust-')));
  mkdirSync(join(dir, 'repo/images'), { recursive: true });
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function write(path: string): string {
  writeFileSync(join(dir, path), 'required: true\n');
  return join(dir, path);
}

describe('findTrustFiles', () => {
  test('finds the policies in and above every directory, the nearest first, each once', async () => {
    mkdirSync(join(dir, 'other'));
    const [own, above, other] = [
      write('repo/images/trust.yml'),
      write('trust.yml'),
      write('other/trust.yml'),
    ];
    expect(await findTrustFiles([join(dir, 'repo/images'), join(dir, 'other')])).toEqual([
      own,
      above,
      other,
    ]);
  });

  test('finds none without a file', async () => {
    expect(await findTrustFiles([join(dir, 'repo')])).toEqual([]);
  });

  test('passes the top of a repository, and of a broken one', async () => {
    const above = write('trust.yml');
    for (const git of ['empty', 'file', 'repository']) {
      const repo = join(dir, git);
      mkdirSync(repo);
      if (git === 'empty') mkdirSync(join(repo, '.git'));
      if (git === 'file') writeFileSync(join(repo, '.git'), 'gitdir: nowhere\n');
      if (git === 'repository') execFileSync('git', ['init', '-q', repo]);
      expect(await findTrustFiles([repo])).toEqual([above]);
    }
  });

  test('looks above a symlink and above its target', async () => {
    mkdirSync(join(dir, 'link'));
    symlinkSync(join(dir, 'repo/images'), join(dir, 'link/images'));
    const [repo, link] = [write('repo/trust.yml'), write('link/trust.yml')];
    const found = await findTrustFiles([join(dir, 'link/images')]);
    expect(found.toSorted()).toEqual([link, repo].toSorted());
  });

  test('looks above a target with .. after a symlink, as the kernel follows it', async () => {
    mkdirSync(join(dir, 'near/hidden/own/images'), { recursive: true });
    mkdirSync(join(dir, 'near/hidden/deep'));
    const hidden = write('near/hidden/own/trust.yml');
    symlinkSync('hidden/deep', join(dir, 'near/d'));
    symlinkSync('d/../own/images', join(dir, 'near/link'));
    symlinkSync(`${dir}/near/d/../own/images/.`, join(dir, 'near/absolute'));
    for (const name of ['link', 'absolute'])
      expect(await findTrustFiles([join(dir, 'near', name)])).toContain(hidden);
  });

  test('looks above every symlink of a chain, and of the directories above', async () => {
    for (const name of ['far/own', 'near']) mkdirSync(join(dir, name), { recursive: true });
    symlinkSync('../repo/images', join(dir, 'near/hop'));
    symlinkSync('../../near/hop', join(dir, 'far/own/images'));
    symlinkSync('own', join(dir, 'far/link'));
    const [repo, near] = [write('repo/trust.yml'), write('near/trust.yml')];
    const found = await findTrustFiles([join(dir, 'far/link/images')]);
    expect(found.toSorted()).toEqual([near, repo].toSorted());
  });

  test.each(
    [
      ['trust.yaml', '.trust.yml', 'Trust.yml', 'TRUST.YML', 'TRUST.Yml', '.TRUST.YAML'],
      ['trust.json', 'trusts.yml', 'tust.yml', 'trsut.yml', 'trust.yl', 'trust.ymal', 'trustt.yml'],
    ].flat(),
  )('rejects the name %s', async (name) => {
    write(name);
    write('trust.yml');
    await expect(findTrustFiles([join(dir, 'repo')])).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: `a trust policy must not be named ${name}`,
    });
  });

  test('accepts names of other things', async () => {
    const names = [
      'rust.yml',
      'Crust.json',
      'trust.yml~',
      '#trust.yml#',
      '.trust.yml.swp',
      'trust',
    ];
    for (const name of [...names, 'trusted.yml', 'truth.md']) write(name);
    expect(await findTrustFiles([join(dir, 'repo')])).toEqual([]);
  });

  test('looks for the exact name in a directory that cannot be listed', async () => {
    const path = write('trust.yml');
    const dirs = [join(dir, 'repo')];
    // Root lists every directory.
    const uid = process.geteuid?.() ?? 0;
    chmodSync(dir, 0o711);
    if (uid === 0) process.seteuid?.(65_534);
    else chmodSync(dir, 0o311);
    try {
      expect(await findTrustFiles(dirs)).toEqual([path]);
    } finally {
      if (uid === 0) process.seteuid?.(0);
      chmodSync(dir, 0o755);
    }
  });

  test('follows a symlink to a file', async () => {
    symlinkSync(write('policy.yml'), join(dir, 'repo/trust.yml'));
    expect(await findTrustFiles([join(dir, 'repo')])).toEqual([join(dir, 'repo/trust.yml')]);
  });

  test.each([
    ['a directory', (path: string) => mkdirSync(path)],
    ['a pipe', (path: string) => execFileSync('mkfifo', [path])],
    ['a dangling symlink', (path: string) => symlinkSync('nothing', path)],
    ['a symlink to a device', (path: string) => symlinkSync('/dev/null', path)],
  ])('rejects %s', async (_, make) => {
    make(join(dir, 'trust.yml'));
    await expect(findTrustFiles([join(dir, 'repo')])).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('is not a regular file'),
    });
  });
});
