import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Dockerd, startDockerd } from '../../buildkit/test/dockerd.ts';
import { main } from './program.ts';

const directory = mkdtempDisposableSync(join(tmpdir(), 'lkt-docker-'));
const open = new AsyncDisposableStack();
let dockerd: Dockerd;

beforeAll(async () => {
  dockerd = open.use(await startDockerd(join(directory.path, 'docker')));
  const files = {
    'pkg/one/build.yml': 'org: example\nimage: one\narches: [amd64, riscv64]\ntag: v1-{{.Hash}}\n',
    'pkg/one/Dockerfile': 'FROM scratch\nCOPY build.yml /\nENV A=b\n',
    'pkg/two/build.yml': 'org: example\nimage: two\n',
    'pkg/two/Dockerfile': 'FROM scratch\nCOPY build.yml /\n',
  };
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(directory.path, path)), { recursive: true });
    writeFileSync(join(directory.path, path), content);
  }
});

afterAll(async () => {
  await open.disposeAsync();
  directory.remove();
});

function lkt(env: Readonly<Record<string, string>>, ...words: readonly string[]) {
  return spawnSync(process.execPath, [main, ...words], {
    cwd: directory.path,
    env: { ...env, HOME: directory.path, LKT_CACHE: join(directory.path, 'store') },
    encoding: 'utf8',
  });
}

function docker(...words: readonly string[]): string {
  return execFileSync('docker', words, { env: dockerd.environment, encoding: 'utf8' });
}

function inspect(name: string): unknown {
  const format = '[{{json .Architecture}},{{json .Config.Env}}]';
  return JSON.parse(docker('image', 'inspect', '--format', format, name));
}

test('loads built images into Docker, one tag per platform and one for this machine', () => {
  const platforms = ['--platforms', 'linux/amd64,linux/riscv64'];
  const environment = dockerd.environment;
  const built = lkt(environment, 'pkg', 'build', '--docker', '--json', ...platforms, 'pkg/one');
  expect(built.stderr).not.toContain('error');
  const { packages } = JSON.parse(built.stdout) as { packages: { docker: string[] }[] };
  const names = packages[0]?.docker ?? [];
  const plain = names.filter((name) => !/-(?:amd64|riscv64)$/.test(name));
  expect(names.toSorted()).toEqual(
    plain.flatMap((name) => [name, `${name}-amd64`, `${name}-riscv64`]).toSorted(),
  );
  expect(plain.length).toBeGreaterThan(0);
  for (const name of plain) {
    expect(inspect(name)).toEqual(['amd64', expect.arrayContaining(['A=b'])]);
    expect(inspect(`${name}-riscv64`)).toEqual(['riscv64', expect.arrayContaining(['A=b'])]);
  }
});

test.each([
  [
    'docker is not installed',
    { PATH: '/nowhere' },
    /^error: --docker needs docker, which is not installed$/m,
  ],
  [
    'Docker does not run',
    { PATH: '/usr/bin:/bin', DOCKER_HOST: 'unix:///nowhere/docker.sock' },
    /^error: docker version failed: .*\/nowhere\/docker.sock/m,
  ],
])(
  'fails before the build if %s',
  (_what, environment, message) => {
    const built = lkt(environment, 'pkg', 'build', '--docker', 'pkg/two');
    expect(built.status).toBe(1);
    expect(built.stderr).toMatch(message);
    expect(built.stderr).not.toContain('started');
  },
  60_000,
);
