import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { descendants, lkt, root } from './helpers/lkt.ts';
import {
  blobsOf,
  makeWorkspace,
  tamper,
  writeBusyboxPackage,
  type TestWorkspace,
} from './helpers/workspace.ts';

const STEPS = [
  'RUN busybox() { /bin/sh "$@"; }; i=0; while [ $i -lt 40 ]; do echo $i > /f$i; i=$((i+1)); done',
  'RUN echo two > /two',
  'RUN rm /f1; echo three > /three',
];

async function storeIsGood(workspace: TestWorkspace): Promise<void> {
  const done = await lkt(['cache', 'verify', '--json'], { env: workspace.env });
  expect(done.status, done.stderr + done.stdout).toBe(0);
}

describe('a tampered blob', { timeout: 120_000 }, () => {
  test('reports it and the command that removes it, after which a build repairs the store', async () => {
    using workspace = makeWorkspace();
    writeBusyboxPackage(workspace, 'a', STEPS);
    workspace.write('image.yml', 'kernel:\n  image: "@pkg:pkg/a"\ninit:\n  - "@pkg:pkg/a"\n');
    workspace.commit();
    const options = { cwd: workspace.dir, env: workspace.env };
    expect(await lkt(['pkg', 'build', 'pkg/a'], options)).toMatchObject({ status: 0 });
    const [largest = ''] = blobsOf(workspace.cache);
    tamper(largest);

    const verify = await lkt(['cache', 'verify'], options);
    expect(verify.status).toBe(1);
    expect(verify.stdout + verify.stderr).toContain(largest.split('/').at(-1));
    const removed = await lkt(['cache', 'verify', '--remove'], options);
    expect(removed.stdout).toContain('1 removed');
    expect(await lkt(['pkg', 'build', 'pkg/a'], options)).toMatchObject({ status: 0 });
    await storeIsGood(workspace);
  });
});

describe('a tampered .deb', { timeout: 300_000 }, () => {
  test('rejects it while reading, and keeps none of it', async () => {
    using workspace = makeWorkspace();
    mkdirSync(join(workspace.dir, 'tools/debian'), { recursive: true });
    for (const name of ['build.yml', 'debian.lock'])
      copyFileSync(join(root, 'tools/debian', name), join(workspace.dir, 'tools/debian', name));
    workspace.commit();
    // A mirror whose packages have the right sizes and wrong bytes.
    const sizes = new Map(
      readFileSync(join(root, 'tools/debian/debian.lock'), 'utf8')
        .split('\n')
        .flatMap((line) => {
          const path = line.split(' ').find((word) => word.includes('/pool/'));
          const size = line.split(' ').find((word) => /^\d+$/.test(word));
          return path === undefined || size === undefined ? [] : [[path, Number(size)] as const];
        }),
    );
    expect(sizes.size).toBeGreaterThan(10);
    const server = createServer((request, response) => {
      const path = (request.url ?? '').replace(/^.*?(debian\/pool\/)/, '$1');
      response.end(Buffer.alloc(sizes.get(path) ?? 0, 'x'));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    try {
      const done = await lkt(['pkg', 'build', 'tools/debian'], {
        cwd: workspace.dir,
        env: { ...workspace.env, LKT_DEBIAN_MIRROR: `http://127.0.0.1:${port}/debian` },
      });
      expect(done.status).toBe(1);
      expect(done.stderr).toMatch(/error: .*\.deb|error: .*sha256:/);
      expect(done.stderr).not.toMatch(/^\s+at /m);
    } finally {
      server.close();
      server.closeAllConnections();
    }
    await storeIsGood(workspace);
    expect(blobsOf(workspace.cache)).toEqual([]);
  });
});

describe('a full disk', { timeout: 120_000 }, () => {
  test('reports it and keeps the store valid', async () => {
    using workspace = makeWorkspace();
    writeBusyboxPackage(workspace, 'a', ['RUN head -c 40000000 /dev/urandom > /big']);
    workspace.commit();
    mkdirSync(workspace.cache);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m,mode=755', 'tmpfs', workspace.cache]);
    try {
      const done = await lkt(['pkg', 'build', 'pkg/a'], { cwd: workspace.dir, env: workspace.env });
      expect(done.status).toBe(1);
      expect(done.stderr).toMatch(/error: .*its file system is full/);
      expect(done.stderr).not.toMatch(/^\s+at /m);
      await storeIsGood(workspace);
    } finally {
      execFileSync('umount', [workspace.cache]);
    }
  });
});

describe('kill -9', { timeout: 600_000 }, () => {
  test('lets the next build succeed, whenever it interrupts one', async () => {
    using workspace = makeWorkspace();
    writeBusyboxPackage(workspace, 'a', STEPS);
    workspace.commit();
    const options = { cwd: workspace.dir, env: workspace.env };
    const started = Date.now();
    const whole = await lkt(['pkg', 'build', '--json', 'pkg/a'], options);
    expect(whole.status, whole.stderr).toBe(0);
    const milliseconds = Date.now() - started;

    for (let round = 0; round < 12; round += 1) {
      execFileSync('rm', ['-rf', workspace.cache]);
      const family: number[] = [];
      const killed = lkt(['pkg', 'build', 'pkg/a'], {
        ...options,
        onStart: (child) => {
          setTimeout(
            () => {
              family.push(...descendants(child.pid ?? 0));
              try {
                process.kill(child.pid ?? 0, 'SIGKILL');
              } catch {
                // the build was faster
              }
            },
            (milliseconds * round) / 11,
          );
        },
      });
      await killed;
      await allGone(family);
      const again = await lkt(['pkg', 'build', '--json', 'pkg/a'], options);
      expect(again.status, again.stderr).toBe(0);
      expect(digestIn(again.stdout)).toBe(digestIn(whole.stdout));
      await storeIsGood(workspace);
    }
    expect(readFileSync('/proc/mounts', 'utf8')).not.toContain(workspace.cache);
  });
});

/** Returns the digest of the package that was built. */
function digestIn(json: string): string | undefined {
  const { packages } = JSON.parse(json) as { packages: readonly { readonly digest: string }[] };
  return packages[0]?.digest;
}

/** Waits for the descendants of a killed process to exit by themselves. */
async function allGone(pids: readonly number[]): Promise<void> {
  for (const pid of pids) {
    let tries = 0;
    while (
      spawnSync('sh', [
        '-c',
        `kill -0 ${pid} 2>/dev/null && ! grep -q "^State:.Z" /proc/${pid}/status`,
      ]).status === 0
    ) {
      expect(tries, `process ${pid} outlives its parent`).toBeLessThan(50);
      tries += 1;
      await sleep(100);
    }
  }
}

test(
  'reports the package and the command if the mirror lacks a version of the lock file',
  { timeout: 120_000 },
  async () => {
    using workspace = makeWorkspace();
    mkdirSync(join(workspace.dir, 'tools/debian'), { recursive: true });
    for (const name of ['build.yml', 'debian.lock'])
      copyFileSync(join(root, 'tools/debian', name), join(workspace.dir, 'tools/debian', name));
    const lock = join(workspace.dir, 'tools/debian/debian.lock');
    writeFileSync(
      lock,
      readFileSync(lock, 'utf8').replace(/(pool\/main\/s\/sed\/sed_)[^ ]*?(_amd64)/, '$10.1-1$2'),
    );
    workspace.commit();
    const done = await lkt(['pkg', 'build', 'tools/debian'], {
      cwd: workspace.dir,
      env: workspace.env,
    });
    expect(done.status).toBe(1);
    expect(done.stderr).toMatch(/error: .*\bsed\b/);
    expect(done.stderr).toMatch(/fix: .*lkt pkg lock tools\/debian/);
  },
);
