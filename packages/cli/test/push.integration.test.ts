import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { startRegistry, type TestRegistry } from '@lkt/testing';
import { expect, test, vi } from 'vitest';
import { main } from './program.ts';

const SIZE = 3_000_000;

/** Creates a checkout with two packages; the second is built FROM the first, and adds layers. */
async function checkout(dir: string): Promise<NodeJS.ProcessEnv> {
  const files = {
    '.gitignore': '/.store\n/.cache\n/cosign.*\n',
    'pkg/base/build.yml': 'org: example\nimage: base\n',
    'pkg/base/Dockerfile': 'FROM scratch\nCOPY one /\nCOPY two /\n',
    'pkg/base/one': randomBytes(SIZE),
    'pkg/base/two': randomBytes(SIZE),
    'pkg/app/build.yml': 'org: example\nimage: app\n',
    'pkg/app/Dockerfile': 'FROM example/base\nCOPY file /\n',
    'pkg/app/file': 'app',
  };
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(dir, path)), { recursive: true });
    await writeFile(join(dir, path), content);
  }
  const env = {
    PATH: process.env['PATH'],
    HOME: dir,
    LKT_CACHE: join(dir, '.store'),
    COSIGN_PASSWORD: '',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_AUTHOR_NAME: 'A',
    GIT_AUTHOR_EMAIL: 'a@example.com',
    GIT_COMMITTER_NAME: 'A',
    GIT_COMMITTER_EMAIL: 'a@example.com',
  };
  const run = (program: string, ...args: string[]): void =>
    void execFileSync(program, args, { cwd: dir, env, stdio: 'ignore' });
  run('git', 'init', '-q');
  run('git', 'add', '-A');
  run(process.execPath, main, 'key', 'generate', '--no-password');
  run(process.execPath, main, 'pin');
  run('git', 'add', '-A');
  run('git', 'commit', '-qm', 'one');
  return env;
}

/** Returns the bytes of uploaded blobs, in requests from index `from` on. */
function uploaded({ requests }: TestRegistry, from = 0): number {
  return requests
    .slice(from)
    .filter(
      ({ method, path }) => /^(?:PATCH|PUT)$/.test(method) && path.includes('/blobs/uploads/'),
    )
    .reduce((sum, { headers }) => sum + Number(headers['content-length'] ?? 0), 0);
}

function lkt(dir: string, env: NodeJS.ProcessEnv, ...args: string[]): ReturnType<typeof spawn> {
  return spawn(process.execPath, [main, ...args], {
    cwd: dir,
    env,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}

async function ended(
  child: ReturnType<typeof spawn>,
): Promise<{ code: number | null; output: string }> {
  let output = '';
  child.stdout?.on('data', (chunk) => (output += String(chunk)));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, output };
}

test('resumes a killed push, and tags only complete images', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-push-'));
  await using registry = await startRegistry();
  const env = await checkout(dir.path);
  const to = ['--org', `${registry.host}/team`];
  const sign = ['--sign', '--key', 'cosign.key'];
  const push = ['pkg', 'push', '--json', ...sign, ...to, 'pkg/app', 'pkg/base'];
  // One of the two large blobs never arrives.
  registry.fault({ method: 'PUT', path: /blobs\/uploads/ }, { kind: 'stall' });
  const killed = lkt(dir.path, env, ...push);
  const end = ended(killed);
  await vi.waitFor(
    () => {
      expect(registry.storage.repositories.get('team/base')?.blobs.size).toBe(2);
    },
    { timeout: 60_000, interval: 20 },
  );
  killed.kill('SIGKILL');
  expect((await end).code).toBeNull();
  expect(registry.storage.repositories.get('team/base')?.tags.size).toBe(0);
  expect(registry.storage.repositories.get('team/base')?.manifests.size).toBe(0);

  const before = registry.requests.length;
  const { code, output } = await ended(lkt(dir.path, env, ...push));
  expect(code).toBe(0);
  const { packages } = JSON.parse(output) as { packages: { name: string; bytes: number }[] };
  expect(packages.map(({ name }) => name)).toEqual(['example/app', 'example/base']);
  // At most one large blob: the other arrived before, and the second package shares them.
  const again = uploaded(registry, before);
  expect(again).toBeLessThan(1.1 * SIZE);
  expect(again).toBe(packages.reduce((sum, { bytes }) => sum + bytes, 0));
  const mounted = registry.requests.filter(({ path }) =>
    path.includes('team/app/blobs/uploads/?mount'),
  );
  expect(mounted.length).toBeGreaterThanOrEqual(2);

  // Signatures are not made again after the killed push, although none had arrived.
  const base = registry.storage.repositories.get('team/base');
  const signatures = [...(base?.tags.keys() ?? [])].filter((tag) => tag.endsWith('.sig'));
  // Of the index and of the image.
  expect(signatures).toHaveLength(2);
  for (const tag of signatures) {
    const bytes = base?.manifests.get(base.tags.get(tag) ?? '')?.bytes;
    const { layers } = JSON.parse(String(bytes)) as { layers: unknown[] };
    expect(layers).toHaveLength(1);
  }

  const after = registry.requests.length;
  expect((await ended(lkt(dir.path, env, ...push))).code).toBe(0);
  const third = registry.requests.slice(after).map(({ method }) => method);
  expect(new Set(third)).toEqual(new Set(['GET', 'HEAD']));
});
