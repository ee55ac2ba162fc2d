/**
 * Secrets must never leak: no token, password or key may appear in output, in the store, or on the
 * command lines of other programs.
 */
import { execFileSync, spawn } from 'node:child_process';
import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { mkdir, mkdtempDisposable, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createAuthority, startRegistry, startSigstore } from '@lkt/testing';
import { describe, expect, onTestFinished, test } from 'vitest';
import { main } from './program.ts';

const PASSWORD = 'canary-password-4711';
const BASIC = Buffer.from(`me:${PASSWORD}`).toString('base64');

interface Checkout {
  readonly dir: string;
  readonly env: NodeJS.ProcessEnv;
}

/** Creates a checkout with one package, and an empty home directory. */
async function checkout(): Promise<Checkout> {
  const home = await mkdtempDisposable(join(tmpdir(), 'lkt-never-'));
  onTestFinished(async () => home[Symbol.asyncDispose]());
  const dir = home.path;
  const files = {
    '.gitignore': '/*\n!/pkg\n',
    'pkg/base/build.yml': 'org: example\nimage: base\n',
    'pkg/base/Dockerfile': 'FROM scratch\nCOPY file /\n',
    'pkg/base/file': 'base',
  };
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(dir, path)), { recursive: true });
    await writeFile(join(dir, path), content);
  }
  const env = {
    PATH: process.env['PATH'],
    HOME: dir,
    NO_COLOR: '1',
    LKT_CACHE: join(dir, 'store'),
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_AUTHOR_NAME: 'A',
    GIT_AUTHOR_EMAIL: 'a@example.com',
    GIT_COMMITTER_NAME: 'A',
    GIT_COMMITTER_EMAIL: 'a@example.com',
  };
  for (const args of [
    ['init', '-q'],
    ['add', '-A'],
    ['commit', '-qm', 'one'],
  ])
    execFileSync('git', args, { cwd: dir, env, stdio: 'ignore' });
  return { dir, env };
}

async function logIn({ dir }: Checkout, host: string): Promise<void> {
  await mkdir(join(dir, '.docker'), { recursive: true });
  const config = { auths: { [host]: { auth: BASIC } } };
  await writeFile(join(dir, '.docker/config.json'), JSON.stringify(config));
}

/** Returns the command lines of all processes of the machine. */
async function processCommandLines(): Promise<string> {
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const texts = names.map((name) => readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => ''));
  return (await Promise.all(texts)).join('\n');
}

/** Runs lkt with each progress display, and returns everything that others can see of it. */
async function observe(
  { dir, env }: Checkout,
  args: readonly string[],
  more: NodeJS.ProcessEnv = {},
): Promise<{ readonly code: number | null; readonly text: string; readonly all: string }[]> {
  const results: { code: number | null; text: string; all: string }[] = [];
  const ways = [
    ['--progress', 'plain', '-v', '3'],
    ['--progress', 'json', '--json'],
  ];
  for (const way of ways) {
    const child = spawn(process.execPath, [main, ...args, ...way], {
      cwd: dir,
      env: { ...env, ...more },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let text = '';
    child.stdout.on('data', (chunk) => (text += String(chunk)));
    child.stderr.on('data', (chunk) => (text += String(chunk)));
    // A short command could end before its command line is read.
    child.kill('SIGSTOP');
    const lines = [await processCommandLines()];
    child.kill('SIGCONT');
    const over = new AbortController();
    const watching = (async () => {
      while (!over.signal.aborted) {
        lines.push(await processCommandLines());
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    })();
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    over.abort();
    await watching;
    // Proves that the command lines were captured.
    expect(lines.join('\n')).toContain(args.join('\0'));
    results.push({ code, text, all: `${text}\n${lines.join('\n')}\n${await storeText(dir)}` });
  }
  return results;
}

/** Returns the contents of every file in the store, including logs. */
async function storeText(dir: string): Promise<string> {
  const files = await readdir(join(dir, 'store'), { recursive: true, withFileTypes: true }).catch(
    () => [],
  );
  const texts = files
    .filter((file) => file.isFile())
    .map((file) => readFile(join(file.parentPath, file.name), 'latin1'));
  return (await Promise.all(texts)).join('\n');
}

function partsOf(token: string): readonly string[] {
  return [token, ...token.split('.').slice(1)];
}

/** Starts a server with a custom response to every request. */
async function respond(
  answer: (request: IncomingMessage, body: string) => { status: number; body: string },
  headers: Readonly<Record<string, string>> = {},
): Promise<string> {
  const server = createHttpServer((request, response) => {
    const parts: Uint8Array[] = [];
    request.on('data', (part: Uint8Array) => parts.push(part));
    request.on('end', () => {
      const { status, body } = answer(request, Buffer.concat(parts).toString());
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('lkt reveals no secret', () => {
  test('when it pushes and signs packages', async () => {
    const there = await checkout();
    await using registry = await startRegistry({
      auth: { scheme: 'token', users: { me: PASSWORD } },
    });
    await using sigstore = await startSigstore();
    await logIn(there, registry.host);
    const token = sigstore.issuer.token('jane@example.org');
    const args = ['pkg', 'push', '--sign', '--org', `${registry.host}/team`, 'pkg/base'];
    for (const { code, text, all } of await observe(there, args, {
      SIGSTORE_ID_TOKEN: token,
      LKT_FULCIO_URL: sigstore.url,
      LKT_REKOR_URL: sigstore.url,
    })) {
      expect(code, text).toBe(0);
      for (const secret of [PASSWORD, BASIC, 'Bearer ', ...partsOf(token)])
        expect(all).not.toContain(secret);
    }
  });

  test('when the certificate authority repeats the token', async () => {
    const there = await checkout();
    await using registry = await startRegistry();
    await using sigstore = await startSigstore();
    const token = sigstore.issuer.token('jane@example.org');
    const fulcio = await respond((_request, body) => ({
      status: 400,
      body: JSON.stringify({ code: 3, message: `bad ${body} ${token} ${token.split('.')[2]}` }),
    }));
    const args = ['pkg', 'push', '--sign', '--org', `${registry.host}/team`, 'pkg/base'];
    for (const { code, text, all } of await observe(there, args, {
      SIGSTORE_ID_TOKEN: token,
      LKT_FULCIO_URL: `http://${fulcio}`,
    })) {
      expect(code, text).toBe(1);
      expect(text).toContain('the certificate authority at');
      for (const secret of partsOf(token)) expect(all).not.toContain(secret);
    }
    expect(registry.storage.repositories.get('team/base')?.tags.size ?? 0).toBe(0);
  });

  test('when the token service of a CI repeats the request', async () => {
    const there = await checkout();
    const gitHub = await respond((request) => ({
      status: 403,
      body: JSON.stringify({ message: `no: ${request.headers.authorization}` }),
    }));
    for (const { code, text, all } of await observe(there, ['pkg', 'sign', 'pkg/base'], {
      ACTIONS_ID_TOKEN_REQUEST_URL: `http://${gitHub}/token?key=${PASSWORD}`,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: `${PASSWORD}-2`,
    })) {
      expect(code, text).toBe(1);
      expect(text).toContain('GitHub returned no identity token (403)');
      expect(all).not.toContain(PASSWORD);
    }
  });

  test('when a registry repeats the request', async () => {
    const there = await checkout();
    const host = await respond(
      ({ headers: { authorization } }) => ({
        status: authorization === undefined ? 401 : 403,
        body: JSON.stringify({ errors: [{ code: 'DENIED', message: `no: ${authorization}` }] }),
      }),
      { 'www-authenticate': 'Basic realm="test"' },
    );
    await logIn(there, host);
    const args = ['pkg', 'push', '--org', `${host}/team`, 'pkg/base'];
    for (const { code, text, all } of await observe(there, args)) {
      expect(code, text).toBe(1);
      expect(text).toContain(host);
      for (const secret of [PASSWORD, BASIC]) expect(all).not.toContain(secret);
    }
  });

  test('when credential files are malformed and helpers fail', async () => {
    const there = await checkout();
    await using registry = await startRegistry({
      auth: { scheme: 'basic', users: { me: PASSWORD } },
    });
    const args = ['pkg', 'push', '--org', `${registry.host}/team`, 'pkg/base'];
    const config = join(there.dir, '.docker/config.json');
    await logIn(there, registry.host);
    await writeFile(config, `{"auths": {"${registry.host}": {"auth": "${BASIC}" "x"`);
    for (const { code, text, all } of await observe(there, args)) {
      expect(code, text).toBe(1);
      for (const secret of [PASSWORD, BASIC]) expect(all).not.toContain(secret);
    }
    await writeFile(config, JSON.stringify({ credsStore: 'broken' }));
    const helper = join(there.dir, 'bin/docker-credential-broken');
    await mkdir(dirname(helper));
    const said = `{"Username":"me","Secret":"${PASSWORD}"`;
    await writeFile(helper, `#!/bin/sh\necho '${said}'\necho '${said}' >&2\nexit 1\n`, {
      mode: 0o755,
    });
    const PATH = `${join(there.dir, 'bin')}:${there.env['PATH']}`;
    for (const { code, text, all } of await observe(there, args, { PATH })) {
      expect(code, text).toBe(1);
      expect(all).not.toContain(PASSWORD);
    }
  });

  test('when URLs contain passwords and the server is down', async () => {
    const there = await checkout();
    const token = `x.${Buffer.from('{"sub":"somebody"}').toString('base64url')}.x`;
    const address = `https://me:${PASSWORD}@127.0.0.1:1`;
    for (const { code, text, all } of await observe(there, ['pkg', 'sign', 'pkg/base'], {
      SIGSTORE_ID_TOKEN: token,
      LKT_FULCIO_URL: address,
    })) {
      expect(code, text).toBe(1);
      expect(all).not.toContain(PASSWORD);
    }
    const push = ['pkg', 'push', '--org', 'registry.invalid/team', 'pkg/base'];
    for (const { code, text, all } of await observe(there, push, {
      HTTPS_PROXY: `http://me:${PASSWORD}@127.0.0.1:1`,
    })) {
      expect(code, text).toBe(1);
      expect(all).not.toContain(PASSWORD);
    }
  });

  test('when a key signs, or its password is wrong', async () => {
    const there = await checkout();
    const right = { COSIGN_PASSWORD: PASSWORD };
    // On the second run the key exists already.
    const made = await observe(there, ['key', 'generate'], right);
    expect(made.map(({ code }) => code)).toEqual([0, 2]);
    for (const { all } of made) expect(all).not.toContain(PASSWORD);
    const sign = ['pkg', 'sign', '--key', 'cosign.key', 'pkg/base'];
    for (const { code, text, all } of await observe(there, sign, right)) {
      expect(code, text).toBe(0);
      for (const secret of [PASSWORD, 'PRIVATE KEY']) expect(all).not.toContain(secret);
    }
    for (const { code, all } of await observe(there, sign, { COSIGN_PASSWORD: `${PASSWORD}-2` })) {
      expect(code).toBe(1);
      expect(all).not.toContain(PASSWORD);
    }
  });
});

test('never falls back to http after a certificate error', async () => {
  const there = await checkout();
  using trust = createAuthority();
  await using registry = await startRegistry({
    tls: { key: trust.key, cert: trust.cert },
    auth: { scheme: 'basic', users: { me: PASSWORD } },
    relativeLocations: true,
  });
  // The first byte of each connection.
  const first: number[] = [];
  let heard = '';
  const wire = createTcpServer((client) => {
    const server = connect(Number(registry.host.split(':')[1]), '127.0.0.1');
    client.once('data', (piece: Buffer) => first.push(piece[0] ?? -1));
    client.on('data', (piece: Buffer) => (heard += piece.toString('latin1')));
    for (const socket of [client, server])
      socket
        .on('error', () => undefined)
        .on('close', () => {
          client.destroy();
          server.destroy();
        });
    client.pipe(server).pipe(client);
  });
  await new Promise<void>((resolve) => wire.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => new Promise((resolve) => void wire.close(() => resolve(undefined))));
  const host = `127.0.0.1:${(wire.address() as AddressInfo).port}`;
  await logIn(there, host);
  const push = ['pkg', 'push', '--org', `${host}/team`, 'pkg/base'];
  const [refused] = await observe(there, push);
  expect(refused?.code).toBe(1);
  expect(refused?.text).toMatch(/certificate/);
  const [done] = await observe(there, [...push, '--cert-file', trust.caFile]);
  expect(done?.code, done?.text).toBe(0);
  // Each connection began with a TLS handshake record.
  expect(new Set(first)).toEqual(new Set([0x16]));
  for (const secret of ['HTTP/1', BASIC, PASSWORD]) expect(heard).not.toContain(secret);
});
