import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { createServer, request as ask } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { parsePlatform } from '@lkt/oci';
import {
  createAuthority,
  type RegistryOptions as TestOptions,
  type TestRegistry,
} from '@lkt/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { findCredentials } from '../src/auth/credentials.ts';
import {
  allOf,
  at,
  client,
  failure,
  isWhole,
  newImage,
  newStore,
  serve,
  temporary,
} from './support.ts';

const PASSWORD = 'se:cret-pass';
const users = { me: PASSWORD };
const basic = Buffer.from(`me:${PASSWORD}`).toString('base64');

/** Returns an environment with this Docker configuration. */
async function docker(
  config: (host: string) => object,
  { host }: TestRegistry,
): Promise<{ DOCKER_CONFIG: string }> {
  const directory = await temporary();
  await writeFile(join(directory, 'config.json'), JSON.stringify(config(host)));
  return { DOCKER_CONFIG: directory };
}

const login = (host: string): object => ({ auths: { [host]: { auth: basic } } });

async function roundTrip(
  registry: TestRegistry,
  env: Record<string, string>,
  name = 'app:1',
): Promise<void> {
  const store = await newStore();
  const image = await newImage(store);
  await client({ env }).pushImage(store, image, at(registry, name));
  const other = await newStore();
  await client({ env }).pullImage(other, at(registry, name));
  expect(await isWhole(other)).toBe(true);
}

describe.each<[string, NonNullable<TestOptions['auth']>]>([
  ['basic', { scheme: 'basic', users }],
  ['token', { scheme: 'token', users }],
  [
    'token, named access_token, without OAuth2',
    { scheme: 'token', users, field: 'access_token', oauth2: false },
  ],
  ['token, valid for three requests', { scheme: 'token', users, uses: 3 }],
])('authentication: %s', (_what, auth) => {
  it('uses the stored password', async () => {
    const registry = await serve({ auth });
    await roundTrip(registry, await docker(login, registry));
  });

  it('fails with a missing or wrong password without revealing it', async () => {
    const registry = await serve({ auth });
    const store = await newStore();
    const image = await newImage(store);
    const without = await failure(client().pushImage(store, image, at(registry)));
    expect(without).toMatchObject({
      code: 'ACCESS_DENIED',
      fix: expect.stringMatching(/lkt login/) as string,
    });
    const wrong = Buffer.from('me:wrong-secret').toString('base64');
    const env = await docker((host) => ({ auths: { [host]: { auth: wrong } } }), registry);
    const error = await failure(client({ env }).pushImage(store, image, at(registry)));
    expect(error).toMatchObject({ code: 'ACCESS_DENIED' });
    expect(allOf(error)).not.toMatch(new RegExp(`wrong-secret|${wrong}`));
  });

  it('needs no login for public repositories', async () => {
    const registry = await serve({ auth: { ...auth, publicPrefix: 'public/' } });
    const env = await docker(login, registry);
    const store = await newStore();
    await client({ env }).pushImage(store, await newImage(store), at(registry, 'public/app:1'));
    const other = await newStore();
    await client().pullImage(other, at(registry, 'public/app:1'));
    expect(await isWhole(other)).toBe(true);
  });

  it('sends no credentials to a redirect target', async () => {
    const registry = await serve({ auth, redirectBlobs: true });
    await roundTrip(registry, await docker(login, registry));
    const elsewhere = registry.requests.filter(({ server }) => server === 'storage');
    expect(elsewhere.length).toBeGreaterThan(0);
    for (const { headers } of elsewhere) expect(headers.authorization).toBeUndefined();
  });
});

describe('tokens', () => {
  it('are requested once, and again for more scopes', async () => {
    const registry = await serve({ auth: { scheme: 'token', users } });
    const env = await docker(login, registry);
    const store = await newStore();
    const image = await newImage(store, [100, 100, 100, 100]);
    const registryClient = client({ env });
    await registryClient.pushImage(store, image, at(registry));
    const asked = registry.requests.filter(({ server }) => server === 'token');
    expect(asked.map(({ path }) => new URL(path, 'http://x').searchParams.getAll('scope'))).toEqual(
      [['repository:app:pull'], ['repository:app:pull,push']],
    );
    expect(await registryClient.pushImage(store, image, at(registry, 'other:1'))).toMatchObject({
      bytes: 0,
    });
  });

  it('follow a redirect of the token service without the password', async () => {
    const registry = await serve({ auth: { scheme: 'token', users } });
    const other = await serve({ auth: { scheme: 'token', users } });
    const location = `${other.url}/token?scope=repository:app:pull`;
    registry.fault(
      { path: /^\/token/, times: 9 },
      { kind: 'respond', status: 307, headers: { location } },
    );
    const env = await docker(login, registry);
    await failure(client({ env }).tags(at(registry)));
    expect(other.requests.map(({ server }) => server)).toContain('token');
    for (const { headers } of other.requests) expect(headers.authorization).toBeUndefined();
    const answer = { token: 'x'.repeat(70_000) };
    const long = await serve({ auth: { scheme: 'token', users } });
    long.fault(
      { path: /^\/token/, times: 9 },
      { kind: 'respond', status: 200, body: JSON.stringify(answer) },
    );
    expect((await failure(client().tags(at(long)))).message).toMatch(/more than 65536 bytes/);
  });

  it('are obtained with an identity token', async () => {
    const registry = await serve({
      auth: { scheme: 'token', users, refreshTokens: { 'refresh-1': 'me' } },
    });
    const env = await docker(
      (host) => ({ auths: { [host]: { identitytoken: 'refresh-1' } } }),
      registry,
    );
    await roundTrip(registry, env);
    const asked = registry.requests.filter(({ server }) => server === 'token');
    expect(asked.every(({ method, path }) => method === 'POST' && !path.includes('refresh'))).toBe(
      true,
    );
    const wrong = await docker(
      (host) => ({ auths: { [host]: { identitytoken: 'refresh-2' } } }),
      registry,
    );
    const error = await failure(client({ env: wrong }).tags(at(registry)));
    expect(error).toMatchObject({ code: 'ACCESS_DENIED' });
    expect(allOf(error)).not.toContain('refresh-2');
  });

  it.each([
    ['http://169.254.169.254/latest', /private network/],
    ['http://[::1]:1/token', /private network/],
    ['http://10.0.0.1/token', /private network/],
    ['file:///etc/passwd', /not https/],
  ])('are not requested at %s', async (realm, message) => {
    const registry = await serve({ auth: { scheme: 'token', users, realm } });
    const env = await docker(login, registry);
    const error = await failure(client({ env }).tags(at(registry)));
    expect(error).toMatchObject({ code: 'ACCESS_DENIED' });
    expect(error.message).toMatch(message);
  });

  it('are not requested over http by an https registry', async () => {
    using tls = createAuthority();
    const plain = await serve();
    const registry = await serve({
      tls,
      auth: { scheme: 'token', users, realm: `${plain.url}/token` },
    });
    const env = await docker(login, registry);
    const error = await failure(client({ env, ca: [tls.ca] }).tags(at(registry)));
    expect(error.message).toMatch(/which is not https/);
    expect(plain.requests).toEqual([]);
  });
});

describe('credentials', () => {
  const auth = { scheme: 'basic', users } as const;

  it.each<[string, (host: string) => object]>([
    ['with a scheme', (host) => ({ auths: { [`https://${host}`]: { auth: basic } } })],
    ['with a version', (host) => ({ auths: { [`https://${host}/v1/`]: { auth: basic } } })],
    [
      'with a namespace',
      (host) => ({ auths: { [`${host}/app`]: { auth: basic }, [host]: { auth: 'eDp5' } } }),
    ],
    [
      'with a plain-text password',
      (host) => ({ auths: { [host]: { username: 'me', password: PASSWORD } } }),
    ],
  ])('are found for the registry %s', async (_what, config) => {
    const registry = await serve({ auth });
    await roundTrip(registry, await docker(config, registry));
  });

  it.each<[string, (host: string) => object]>([
    ['a longer name', (host) => ({ auths: { [`${host}.example`]: { auth: basic } } })],
    ['a shorter name', (host) => ({ auths: { [host.slice(0, -1)]: { auth: basic } } })],
    ['another namespace', (host) => ({ auths: { [`${host}/ap`]: { auth: basic } } })],
    [
      'a path that contains the name',
      (host) => ({ auths: { [`evil.example/${host}`]: { auth: basic } } }),
    ],
  ])('of %s are not used', async (_what, config) => {
    const registry = await serve({ auth });
    const env = await docker(config, registry);
    expect(await failure(client({ env }).tags(at(registry)))).toMatchObject({
      code: 'ACCESS_DENIED',
    });
    expect(registry.requests.every(({ headers }) => headers.authorization === undefined)).toBe(
      true,
    );
  });

  it('are read from podman’s files, and only from REGISTRY_AUTH_FILE if set', async () => {
    const registry = await serve({ auth });
    const directory = await temporary();
    await mkdir(join(directory, 'containers'));
    const file = join(directory, 'containers', 'auth.json');
    await writeFile(file, JSON.stringify(login(registry.host)));
    for (const name of ['XDG_RUNTIME_DIR', 'XDG_CONFIG_HOME'])
      await roundTrip(registry, { [name]: directory });
    await roundTrip(registry, { REGISTRY_AUTH_FILE: file });
    const env = { ...(await docker(login, registry)), REGISTRY_AUTH_FILE: join(directory, 'none') };
    expect(await failure(client({ env }).tags(at(registry)))).toMatchObject({
      code: 'ACCESS_DENIED',
    });
  });

  it.each(['https://index.docker.io/v1/', 'docker.io', 'index.docker.io', 'registry-1.docker.io'])(
    'for docker.io are found under %s',
    async (key) => {
      const directory = await temporary();
      const auths = { [key]: { auth: basic }, 'evil-docker.io': { auth: 'eDp5' } };
      await writeFile(join(directory, 'config.json'), JSON.stringify({ auths }));
      const env = { DOCKER_CONFIG: directory };
      expect(await findCredentials('docker.io', 'library/app', env)).toEqual({
        kind: 'password',
        username: 'me',
        password: PASSWORD,
      });
      expect(await findCredentials('example.org', 'library/app', env)).toBeUndefined();
    },
  );

  it('of a mirror are its own', async () => {
    const registry = await serve({ auth });
    const mirror = await serve({ auth: { scheme: 'basic', users: { you: 'other' } } });
    const env = await docker(login, registry);
    const store = await newStore();
    await client({ env }).pushImage(store, await newImage(store), at(registry));
    for (const key of [registry.host, '*']) {
      const mirrors = { [key]: [{ url: mirror.url, resolvesTags: true }] };
      const other = await newStore();
      await client({ env, mirrors }).pullImage(other, at(registry));
      expect(await isWhole(other)).toBe(true);
    }
    expect(mirror.requests.length).toBeGreaterThan(0);
    for (const { headers } of mirror.requests) expect(headers.authorization).toBeUndefined();
  });

  it.each(['credHelpers', 'credsStore'])('come from a helper by %s', async (kind) => {
    const registry = await serve({ auth });
    const directory = await temporary();
    const helper = join(directory, 'docker-credential-test');
    await writeFile(
      helper,
      `#!/bin/sh\nread -r server\n[ "$1 $server" = "get ${registry.host}" ] || { echo 'credentials not found in native keychain'; exit 1; }\necho '{"Username":"me","Secret":"${PASSWORD}"}'\n`,
    );
    await chmod(helper, 0o755);
    const config = (host: string): object =>
      kind === 'credHelpers'
        ? { credHelpers: { [host]: 'test' }, auths: { [host]: { auth: 'eDp5' } } }
        : { credsStore: 'test' };
    const env = { ...(await docker(config, registry)), PATH: `${directory}:/usr/bin:/bin` };
    await roundTrip(registry, env);
    await writeFile(helper, `#!/bin/sh\necho '${PASSWORD}'; exit 3\n`);
    const error = await failure(client({ env }).tags(at(registry)));
    expect(error).toMatchObject({ code: 'ACCESS_DENIED' });
    expect(allOf(error)).not.toContain(PASSWORD);
    for (const output of [PASSWORD, 'null']) {
      await writeFile(helper, `#!/bin/sh\necho '${output}'\n`);
      const wrong = await failure(client({ env }).tags(at(registry)));
      expect(wrong).toMatchObject({
        code: 'ACCESS_DENIED',
        message: expect.stringMatching(/^docker-credential-test, configured in \/.*, returned no /),
        fix: `run echo ${registry.host} | docker-credential-test get to see its output`,
      });
      expect(allOf(wrong)).not.toContain(PASSWORD);
    }
    await writeFile(helper, `#!/bin/sh\necho '{"Username":"<token>","Secret":"refresh-1"}'\n`);
    expect(await findCredentials(registry.host, 'app', env)).toEqual({
      kind: 'refresh',
      token: 'refresh-1',
    });
    const missing = await docker((host) => ({ credHelpers: { [host]: 'none' } }), registry);
    expect(await failure(client({ env: missing }).tags(at(registry)))).toMatchObject({
      code: 'TOOL_MISSING',
    });
  });

  it('in a malformed file are an error that does not quote it', async () => {
    const registry = await serve({ auth });
    const directory = await temporary();
    await writeFile(join(directory, 'config.json'), `{"auths": {"x": {"auth": "${basic}"`);
    const error = await failure(client({ env: { DOCKER_CONFIG: directory } }).tags(at(registry)));
    expect(error).toMatchObject({ code: 'CONFIG_INVALID' });
    expect(allOf(error)).not.toContain(basic);
  });
});

describe('https', () => {
  it('is used for loopback addresses where possible', async () => {
    using tls = createAuthority();
    const registry = await serve({ tls, auth: { scheme: 'token', users }, redirectBlobs: true });
    const env = await docker(login, registry);
    const store = await newStore();
    const image = await newImage(store);
    const registryClient = client({ env, ca: [tls.ca] });
    await registryClient.pushImage(store, image, at(registry));
    const other = await newStore();
    await registryClient.pullImage(other, at(registry), {
      platforms: [parsePlatform('linux/amd64')],
    });
    expect(await isWhole(other)).toBe(true);
  });

  it('is kept despite an unknown certificate authority', async () => {
    using tls = createAuthority();
    const registry = await serve({ tls });
    const options = { insecure: [registry.host] };
    const error = await failure(client(options).tags(at(registry)));
    expect(error).toMatchObject({
      code: 'NETWORK_FAILED',
      fix: expect.stringMatching(/SSL_CERT_FILE/) as string,
    });
    expect(registry.requests).toEqual([]);
  });

  it('is required for other machines unless marked insecure', async () => {
    const registry = await serve();
    const env = { HTTP_PROXY: registry.url, HTTPS_PROXY: registry.url };
    const name = { domain: 'registry.test', path: 'app' };
    expect(await failure(client({ env, backoff: [] }).tags(name))).toMatchObject({
      code: 'NETWORK_FAILED',
    });
    expect(registry.requests).toEqual([]);
  });
});

it('does not answer the challenge of a redirect target', async () => {
  const registry = await serve();
  const other = await serve({ auth: { scheme: 'basic', users } });
  const store = await newStore();
  await client().pushImage(store, await newImage(store), at(registry));
  const location = `${other.url}/v2/app/blobs/x`;
  registry.fault(
    { path: /blobs/, times: 9 },
    { kind: 'respond', status: 307, headers: { location } },
  );
  const env = await docker(login, registry);
  const error = await failure(client({ env }).pullImage(await newStore(), at(registry)));
  expect(error).toMatchObject({ code: 'NETWORK_FAILED' });
  for (const { headers } of [...registry.requests, ...other.requests])
    expect(headers.authorization).toBeUndefined();
});

it('suggests no login at a redirect target', async () => {
  const registry = await serve();
  const other = await serve({ auth: { scheme: 'basic', users } });
  const location = `${other.url}/v2/app/manifests/1`;
  registry.fault(
    { path: /manifests/, times: 9 },
    { kind: 'respond', status: 307, headers: { location } },
  );
  const error = await failure(client().pullImage(await newStore(), at(registry)));
  expect(error).toMatchObject({ code: 'ACCESS_DENIED', fix: undefined });
  expect(error.message).toContain(`${other.host}, where ${registry.host} redirects to: `);
});

it('uploads to another host carry no credentials', async () => {
  const registry = await serve({ auth: { scheme: 'basic', users } });
  const other = await serve({ auth: { scheme: 'basic', users } });
  const location = `${other.url}/v2/app/blobs/uploads/1?_state=x`;
  registry.fault(
    { method: 'POST', path: /uploads/, times: 9 },
    { kind: 'respond', status: 202, headers: { location } },
  );
  const env = await docker(login, registry);
  const store = await newStore();
  const error = await failure(
    client({ env }).pushImage(store, await newImage(store), at(registry)),
  );
  expect(error).toMatchObject({ code: 'ACCESS_DENIED' });
  expect(other.requests.map(({ method }) => method)).toContain('PUT');
  for (const { headers } of other.requests) expect(headers.authorization).toBeUndefined();
});

it('sends no password over http to an insecure registry', async () => {
  const registry = await serve({ auth: { scheme: 'basic', users } });
  const proxy = createServer();
  proxy.on('connect', (_request, socket) => {
    const through = connect(Number(new URL(registry.url).port), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      through.pipe(socket).pipe(through);
    });
    for (const end of [socket, through]) end.on('error', () => undefined);
  });
  proxy.on('request', (request, response) => {
    const { method, headers } = request;
    const path = new URL(request.url ?? '/').pathname;
    const forwarded = ask({ port: new URL(registry.url).port, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
    });
    request.pipe(forwarded);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  const address = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const env = {
    ...(await docker(() => login('registry.test'), registry)),
    HTTP_PROXY: address,
    HTTPS_PROXY: address,
  };
  const name = { domain: 'registry.test', path: 'app' };
  const error = await failure(client({ env, insecure: ['registry.test'] }).tags(name));
  expect(error.message).toBe(
    'the registry registry.test requires a password, which lkt does not send over http',
  );
  expect(registry.requests.length).toBeGreaterThan(0);
  for (const { headers } of registry.requests) expect(headers.authorization).toBeUndefined();
});
