import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempDisposableSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Digest, digestOf, LktError } from '@lkt/core';
import { toRaw } from '@lkt/oci';
import { describe, expect, test } from 'vitest';
import { Context, type ContextFile } from '../src/context/context.ts';
import { type CopyPlan, evaluate, parseDockerfile, planCopy } from '@lkt/dockerfile';

const filesOf = (directory: string, paths: readonly string[]): readonly ContextFile[] =>
  paths.map((path) => ({ path: toRaw(path), source: join(directory, path) }));

function planOf(copy: string, context: Context): CopyPlan {
  const file = { path: 'Dockerfile', text: `FROM scratch\n${copy}` };
  const { stages } = evaluate(parseDockerfile(file), {
    buildArgs: new Map(),
    platform: { os: 'linux', architecture: 'amd64' },
    imageConfig: () => undefined,
  });
  const step = stages[0]?.steps[0];
  if (step?.kind !== 'copy') throw new Error('no COPY');
  return planCopy(step, context, { file, isDirectory: () => false });
}

const digestIn = (
  directory: string,
  paths: readonly string[],
  copy = 'COPY . /x/',
): Promise<Digest> => {
  const context = new Context(filesOf(directory, paths));
  return context.digest(planOf(copy, context));
};

function sample(): Disposable & { readonly path: string } {
  const directory = mkdtempDisposableSync(join(tmpdir(), 'lkt-context-'));
  mkdirSync(join(directory.path, 'd'));
  writeFileSync(join(directory.path, 'a'), 'content of a');
  writeFileSync(join(directory.path, 'd/é'), '');
  symlinkSync('../a', join(directory.path, 'd/link'));
  return { path: directory.path, [Symbol.dispose]: () => directory.remove() };
}

const PATHS = ['a', 'd/é', 'd/link'];

test('the context', () => {
  using directory = sample();
  const context = new Context(filesOf(directory.path, PATHS));
  chmodSync(join(directory.path, 'a'), 0o764);
  expect(context.names('')).toEqual(['a', 'd']);
  expect(context.names('d')).toEqual(['link', toRaw('é')]);
  expect(context.names('a')).toEqual([]);
  expect(context.node('')).toMatchObject({ type: 'directory', mode: 0o755 });
  expect(context.node('d')).toMatchObject({ type: 'directory' });
  expect(context.node('a')).toMatchObject({ type: 'file', mode: 0o755, size: 12 });
  expect(context.node(toRaw('d/é'))).toMatchObject({ type: 'file', mode: 0o644 });
  expect(context.node('d/link')).toMatchObject({ type: 'symlink', link: '../a' });
  expect(context.node('x')).toBeUndefined();
});

describe('the digest of a COPY', () => {
  test('does not depend on location, time and umask', async () => {
    using one = sample();
    using two = sample();
    utimesSync(join(two.path, 'a'), 1, 1);
    chmodSync(join(two.path, 'a'), 0o600);
    const digest = await digestIn(one.path, PATHS);
    expect(await digestIn(two.path, PATHS.toReversed())).toBe(digest);
  });

  test('depends on everything that the image gets', async () => {
    using directory = sample();
    const digests = [await digestIn(directory.path, PATHS)];
    digests.push(await digestIn(directory.path, PATHS, 'COPY . /y/'));
    digests.push(await digestIn(directory.path, ['a', 'd/é']));
    digests.push(await digestIn(directory.path, ['a'], 'COPY a <<b /x/\n1\nb'));
    digests.push(await digestIn(directory.path, ['a'], 'COPY a <<b /x/\n2\nb'));
    writeFileSync(join(directory.path, 'a'), 'content of b');
    digests.push(await digestIn(directory.path, PATHS));
    chmodSync(join(directory.path, 'a'), 0o755);
    digests.push(await digestIn(directory.path, PATHS));
    expect(new Set(digests).size).toBe(digests.length);
  });

  test('does not depend on files that no COPY selects', async () => {
    using directory = sample();
    const digest = await digestIn(directory.path, PATHS, 'COPY a /x');
    expect(await digestIn(directory.path, ['a'], 'COPY a /x')).toBe(digest);
  });

  test('has the same value as in earlier releases', async () => {
    using directory = sample();
    expect(await digestIn(directory.path, PATHS)).toBe(
      'sha256:923247c62a174f743c5cd35966598fdd2b4a25647dd5e60b530ee81f54414a5e',
    );
  });
});

test('hashes a large file in pieces, once', async () => {
  using directory = sample();
  const content = Buffer.alloc(3 * 1024 * 1024, 'x');
  writeFileSync(join(directory.path, 'a'), content);
  const context = new Context(filesOf(directory.path, ['a']));
  expect(await context.contentDigest('a')).toBe(digestOf(content));
  writeFileSync(join(directory.path, 'a'), Buffer.alloc(content.length, 'y'));
  expect(await context.contentDigest('a')).toBe(digestOf(content));
});

test('takes the digest of a file that was read before, unless the file has changed', async () => {
  using directory = sample();
  const source = join(directory.path, 'a');
  const read = { stats: lstatSync(source), content: digestOf('read before') };
  const digestNow = async (): Promise<Digest> => {
    const context = new Context([{ path: 'a', source, read }]);
    await context.digest(planOf('COPY a /', context));
    return context.contentDigest('a');
  };
  expect(await digestNow()).toBe(read.content);
  writeFileSync(source, 'CONTENT of a');
  utimesSync(source, read.stats.atime, read.stats.mtime);
  expect(await digestNow()).toBe(digestOf('CONTENT of a'));
});

test('reuses what another context has read', async () => {
  using directory = sample();
  const context = new Context(filesOf(directory.path, PATHS));
  const digest = await context.digest(planOf('COPY . /x', context));
  expect(context.changed()).toBeUndefined();
  rmSync(directory.path, { recursive: true });
  mkdirSync(directory.path);
  const files = JSON.parse(JSON.stringify(context.files())) as ReturnType<Context['files']>;
  const again = new Context(files);
  expect(await again.digest(planOf('COPY . /x', again))).toBe(digest);
});

describe('invalid input', () => {
  test('rejects a socket and a device', async () => {
    using directory = sample();
    const socket = join(directory.path, 'socket');
    await using server = createServer();
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    const context = new Context([
      { path: 'socket', source: socket },
      { path: 'zero', source: '/dev/zero' },
      { path: 'a', source: join(directory.path, 'a') },
    ]);
    expect(() => context.node('socket')).toThrow('socket in the build context is a socket');
    expect(() => context.node('zero')).toThrow('zero in the build context is a device');
    // A file that no COPY selects is ignored.
    expect(planOf('COPY a /', context).entries).toHaveLength(1);
    expect(() => planOf('COPY . /', context)).toThrow(LktError);
  });

  test('rejects a file that is replaced while it is read', async () => {
    using directory = sample();
    const path = join(directory.path, 'a');
    const gone: readonly (() => void)[] = [
      () => writeFileSync(path, 'longer than it was'),
      () => truncateSync(path, 3),
      () => {
        rmSync(path);
        symlinkSync('/etc/passwd', path);
      },
      () => {
        rmSync(path);
        execFileSync('mkfifo', [path]);
      },
    ];
    for (const change of gone) {
      rmSync(path);
      writeFileSync(path, 'content of a');
      const context = new Context(filesOf(directory.path, ['a']));
      context.node('a');
      expect(context.changed()).toBeUndefined();
      change();
      await expect(context.contentDigest('a')).rejects.toMatchObject({ code: 'IO_FAILED' });
      expect(context.changed()).toBe('a');
    }
  });

  test('reads a file of more than 4 GiB in pieces', async () => {
    using directory = sample();
    const path = join(directory.path, 'a');
    truncateSync(path, 0);
    truncateSync(path, 2 ** 32 + 1);
    const context = new Context(filesOf(directory.path, ['a']));
    const before = process.memoryUsage.rss();
    let most = 0;
    const watch = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 10);
    await context.contentDigest('a');
    clearInterval(watch);
    expect(context.node('a')?.size).toBe(2 ** 32 + 1);
    expect(most - before).toBeLessThan(256 * 2 ** 20);
  });

  test('reports an unreadable file', () => {
    using directory = sample();
    chmodSync(directory.path, 0o755);
    chmodSync(join(directory.path, 'a'), 0o600);
    const script = `
      const { Context } = await import(${JSON.stringify(import.meta.resolve('../src/context/context.ts'))});
      const context = new Context([{ path: 'a', source: ${JSON.stringify(join(directory.path, 'a'))} }]);
      await context.contentDigest('a').catch((error) => console.log(error.code, error.message));`;
    const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
      uid: 65_534,
      gid: 65_534,
      encoding: 'utf8',
      cwd: import.meta.dirname,
    });
    expect(output).toBe('IO_FAILED cannot read a of the build context\n');
  });

  test('reports a file that was removed', () => {
    const context = new Context([{ path: 'a', source: '/nonexistent/a' }]);
    expect(() => context.node('a')).toThrow(expect.objectContaining({ code: 'IO_FAILED' }));
  });

  test('rejects a path that is a file and a directory', () => {
    expect(
      () =>
        new Context([
          { path: 'a', source: '/a' },
          { path: 'a/b', source: '/b' },
        ]),
    ).toThrow('a is a file and a directory in the build context');
  });

  test('does not follow a symlink out of the context', () => {
    using directory = sample();
    symlinkSync('/etc', join(directory.path, 'etc'));
    const context = new Context(filesOf(directory.path, ['etc']));
    expect(() => planOf('COPY etc /x', context)).toThrow(
      'is a dangling symlink in the build context',
    );
    expect(planOf('COPY . /x', context).entries).toEqual([
      { source: 'etc', target: 'x/etc', type: 'symlink' },
    ]);
  });

  test('stops when the build is cancelled', async () => {
    using directory = sample();
    const context = new Context(filesOf(directory.path, ['a']));
    await expect(context.contentDigest('a', AbortSignal.abort())).rejects.toThrow('aborted');
  });
});
