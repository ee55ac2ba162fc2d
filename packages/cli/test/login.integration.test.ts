import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  lstatSync,
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
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { startDockerRegistry, startRegistry } from '@lkt/testing';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { main } from './program.ts';
import { type } from './typist.ts';

vi.setConfig({ testTimeout: 120_000 });

const PASSWORD = 'Se:cret"pass\\';
const users = { me: PASSWORD };

interface Home {
  readonly path: string;
  readonly env: Readonly<Record<string, string>>;
  /** Docker's config.json. */
  readonly config: string;
}

/** An empty home directory, whose `bin` precedes on the PATH. */
function newHome(): Home {
  const path = mkdtempSync(join(tmpdir(), 'lkt-login-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  mkdirSync(join(path, 'bin'));
  const env = {
    HOME: path,
    PATH: `${path}/bin:${process.env['PATH'] ?? ''}`,
    LKT_CACHE: join(path, 'store'),
    NO_COLOR: '1',
  };
  return { path, env, config: join(path, '.docker/config.json') };
}

async function lkt(
  home: Home,
  args: readonly string[],
  input = '',
): Promise<{ status: number; output: string }> {
  // The registry may be in this process.
  const child = spawn(process.execPath, [main, ...args], { cwd: home.path, env: home.env });
  child.stdin.on('error', () => undefined).end(input);
  const [stdout, stderr, [status]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number]>,
  ]);
  const output = stdout + stderr;
  expect(output).not.toContain('Se:cret');
  return { status, output };
}

async function login(home: Home, host: string, password = PASSWORD): ReturnType<typeof lkt> {
  return lkt(home, ['login', host, '-u', 'me', '--password-stdin'], `${password}\n`);
}

/** Returns the user of skopeo's login, which reads Docker's configuration too. */
function skopeoUser(home: Home, host: string): string {
  const { env } = home;
  const { stdout } = spawnSync('skopeo', ['login', '--get-login', host], { env, encoding: 'utf8' });
  return stdout.trim();
}

describe.each(['basic', 'token'] as const)('docker-registry with %s authentication', (auth) => {
  test('checks the password, and saves it for every tool', async () => {
    await using registry = await startDockerRegistry({ auth, users });
    const { host } = registry;
    const home = newHome();
    const wrong = await login(home, host, 'Se:cret-other');
    expect(wrong).toEqual({
      status: 1,
      output: `error: ${host} rejected the user name or password\n  fix: correct them; many registries want an access token instead of the password\n`,
    });
    expect(existsSync(home.config)).toBe(false);

    expect(await login(home, host)).toEqual({
      status: 0,
      output: `logged in to ${host} as me; the password is in ${home.config}\n`,
    });
    expect(statSync(home.config).mode & 0o777).toBe(0o600);
    expect(statSync(join(home.path, '.docker')).mode & 0o777).toBe(0o700);
    expect(readdirSync(join(home.path, '.docker'))).toEqual(['config.json']);
    expect(skopeoUser(home, host)).toBe('me');
    writeFileSync(join(home.path, 'file'), 'text');
    const push = ['push', '--plain-http', `${host}/app:1`, 'file'];
    await promisify(execFile)('oras', push, { cwd: home.path, env: home.env });
    expect((await lkt(home, ['cache', 'pull', `${host}/app:1`])).output).not.toContain('denied');

    // A wrong password does not replace the good one.
    const before = readFileSync(home.config, 'utf8');
    expect((await login(home, host, 'Se:cret-other')).status).toBe(1);
    expect(readFileSync(home.config, 'utf8')).toBe(before);

    expect(await lkt(home, ['logout', host])).toEqual({
      status: 0,
      output: `removed the login to ${host} from ${home.config}\n`,
    });
    expect(skopeoUser(home, host)).toBe('');
    expect(await lkt(home, ['logout', host])).toEqual({
      status: 0,
      output: `not logged in to ${host}\n`,
    });
    const denied = await lkt(home, ['cache', 'pull', `${host}/app:1`]);
    expect(denied.output).toContain(`fix: log in: lkt login ${host}`);
  });
});

test('asks on the terminal, and does not show the password', async () => {
  await using registry = await startDockerRegistry({ auth: 'basic', users: { me: 'Zwonig' } });
  const { host } = registry;
  const home = newHome();
  // Corrects a typing mistake in both.
  const answers = [String.raw`mX\x7fe\n`, String.raw`Zwx\x7fonig\n`];
  const { status, seen } = await type({ cwd: home.path, env: home.env }, answers, ['login', host]);
  expect(seen.replaceAll('\b', '<')).toMatch(
    /^user name: mX< <e\r\npassword: \r\nlogged in to \S+ as me; /,
  );
  expect(status).toBe(0);
  expect(skopeoUser(home, host)).toBe('me');
  const stopped = await type(
    { cwd: home.path, env: home.env },
    [String.raw`\x03`],
    ['login', host],
  );
  expect(stopped.seen).toContain('error: stopped at the prompt');
  expect(stopped.status).toBe(130);
});

test('keeps the rest of the file, and follows a link to it', async () => {
  await using registry = await startRegistry({ auth: { scheme: 'basic', users } });
  const { host } = registry;
  const home = newHome();
  const real = join(home.path, 'dotfiles.json');
  const other = { 'other.example': { auth: 'bWU6eA==' }, [`${host}/part`]: { auth: 'bWU6eQ==' } };
  const rest = { credHelpers: { 'gcr.example': 'gcr' }, detachKeys: 'ctrl-z' };
  writeFileSync(
    real,
    JSON.stringify({ auths: { ...other, [`https://${host}/v1/`]: {} }, ...rest }),
  );
  chmodSync(real, 0o644);
  mkdirSync(join(home.path, '.docker'));
  symlinkSync(real, home.config);
  expect((await login(home, host)).status).toBe(0);
  const auth = Buffer.from(`me:${PASSWORD}`).toString('base64');
  expect(JSON.parse(readFileSync(real, 'utf8'))).toEqual({
    auths: { ...other, [host]: { auth } },
    ...rest,
  });
  expect(statSync(real).mode & 0o777).toBe(0o600);
  expect((await lkt(home, ['logout', host])).status).toBe(0);
  expect(JSON.parse(readFileSync(home.config, 'utf8'))).toEqual({ auths: other, ...rest });

  writeFileSync(real, '{"auths": Se:cret');
  expect(await login(home, host)).toEqual({
    status: 1,
    output: `error: ${home.config} is not a valid file of registry credentials\n  fix: correct its JSON, or move it away\n`,
  });
  expect(readFileSync(real, 'utf8')).toBe('{"auths": Se:cret');
});

test('makes the file that links lead to', async () => {
  await using registry = await startRegistry({ auth: { scheme: 'basic', users } });
  const home = newHome();
  mkdirSync(join(home.path, '.docker'));
  symlinkSync('../link.json', home.config);
  symlinkSync('dotfiles/docker.json', join(home.path, 'link.json'));
  expect((await login(home, registry.host)).status).toBe(0);
  expect(lstatSync(home.config).isSymbolicLink()).toBe(true);
  const written = readFileSync(join(home.path, 'dotfiles/docker.json'), 'utf8');
  expect(Object.keys((JSON.parse(written) as { auths: object }).auths)).toEqual([registry.host]);
});

test('removes the login of another tool', async () => {
  await using registry = await startDockerRegistry({ auth: 'basic', users });
  const { host } = registry;
  const home = newHome();
  const file = join(home.path, '.config/containers/auth.json');
  const words = ['login', '--tls-verify=false', '--authfile', file, '-u', 'me', '--password-stdin'];
  mkdirSync(join(home.path, '.config/containers'), { recursive: true });
  spawnSync('skopeo', [...words, host], { env: home.env, input: PASSWORD });
  expect(readFileSync(file, 'utf8')).toContain(host);
  expect((await login(home, host)).status).toBe(0);
  expect((await lkt(home, ['logout', host])).output).toBe(
    `removed the login to ${host} from ${home.config}\nremoved the login to ${host} from ${file}\n`,
  );
  expect(readFileSync(file, 'utf8')).not.toContain(host);
});

/** A credential helper that keeps each server's JSON in a file. */
const HELPER = `#!/bin/sh
set -e
case $1 in
store) cat > "$HOME/kept" ;;
get) read -r server || true; grep -qs "\\"$server\\"" "$HOME/kept" || { echo credentials not found in native keychain; exit 1; }; cat "$HOME/kept" ;;
erase) read -r server || true; grep -qs "\\"$server\\"" "$HOME/kept"; rm "$HOME/kept" ;;
esac
`;

test('leaves the password to the credential helper of the file', async () => {
  await using registry = await startRegistry({ auth: { scheme: 'token', users } });
  const { host } = registry;
  const home = newHome();
  mkdirSync(join(home.path, '.docker'));
  const before = JSON.stringify({ credsStore: 'absent', credHelpers: { [host]: 'kept' } });
  writeFileSync(home.config, before);
  expect(await login(home, host)).toEqual({
    status: 1,
    output: `error: docker-credential-kept, configured in ${home.config}, is not installed\n  fix: install it, or remove it from ${home.config}\n`,
  });
  writeFileSync(join(home.path, 'bin/docker-credential-kept'), HELPER, { mode: 0o755 });
  const done = await login(home, host);
  expect(done.output).toBe(
    `logged in to ${host} as me; the password is in docker-credential-kept\n`,
  );
  expect(readFileSync(home.config, 'utf8')).toBe(before);
  expect(JSON.parse(readFileSync(join(home.path, 'kept'), 'utf8'))).toEqual({
    ServerURL: host,
    Username: 'me',
    Secret: PASSWORD,
  });
  writeFileSync(home.config, JSON.stringify({ credHelpers: { [host]: 'kept' } }));
  expect((await lkt(home, ['logout', host])).output).toBe(
    `removed the login to ${host} from docker-credential-kept\n`,
  );
  expect(existsSync(join(home.path, 'kept'))).toBe(false);
  expect((await lkt(home, ['logout', host])).output).toBe(`not logged in to ${host}\n`);
  writeFileSync(join(home.path, 'bin/docker-credential-kept'), '#!/bin/sh\necho Se:cret\nexit 1\n');
  expect((await login(home, host)).output).toMatch(
    /^error: docker-credential-kept, configured in \S+, did not store the password\n {2}fix: /,
  );
});

test('reports that a registry without authentication checks nothing', async () => {
  await using registry = await startRegistry();
  const home = newHome();
  const { host } = registry;
  expect((await login(home, host)).output).toContain(
    `warning: ${host} did not ask for a password, so it was not checked`,
  );
  const json = ['login', host, '-u', 'me', '--password-stdin', '--json'];
  expect(JSON.parse((await lkt(home, [...json, '--quiet'], PASSWORD)).output)).toEqual({
    registry: host,
    username: 'me',
    checked: false,
    file: home.config,
  });
});

test.each([
  [
    ['login', 'registry'],
    '',
    '"registry" is not the name of a registry\n  fix: write a host, such as',
  ],
  [['login', ''], '', '"" is not the name of a registry'],
  [['login', 'https://registry.example'], '', 'fix: write the host alone: registry.example\n'],
  [['login', 'registry.example/team'], '', 'fix: write the host alone: registry.example\n'],
  [['logout', 'http://registry.example:5000/v2/'], '', 'host alone: registry.example:5000\n'],
  [['login', 'registry.example'], '', 'there is no terminal to ask on'],
  [['login', 'registry.example', '--password-stdin'], 'x', '--password-stdin needs --username'],
  [['login', 'registry.example', '-u', 'a:b', '--password-stdin'], 'x', 'has no colon'],
  [['login', 'registry.example', '-u', 'me', '--password-stdin'], '\n', 'the password is empty'],
  [['login', 'registry.example', '-u', 'me', '--password-stdin'], 'a\nb', 'more than one line'],
  [
    ['login', 'registry.example', '-u', 'me', '--password-stdin'],
    'x'.repeat(70_000),
    'standard input is too long for a password',
  ],
  [['logout'], '', 'REGISTRY is missing'],
])('rejects %j with %j', async (args, input, message) => {
  const { status, output } = await lkt(newHome(), args, input);
  expect(output).toContain(message);
  expect(status).toBe(2);
});
