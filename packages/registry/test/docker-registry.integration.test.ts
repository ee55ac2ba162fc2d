import { execFile } from 'node:child_process';
import { globSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { formatReference, openStore, parsePlatform } from '@lkt/oci';
import {
  createAuthority,
  type DockerRegistry,
  type DockerRegistryOptions,
  startDockerRegistry,
} from '@lkt/testing';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  at,
  client,
  failure,
  isWhole,
  newImage,
  newIndex,
  newStore,
  pushReferrer,
  temporary,
} from './support.ts';

const run = promisify(execFile);
const PASSWORD = 'se:cret-pass';
const users = { me: PASSWORD };

/** Writes credentials as `docker login` does, where every tool finds them. */
async function loggedIn(
  host: string,
): Promise<{ directory: string; env: { DOCKER_CONFIG: string } }> {
  const directory = await temporary();
  const auth = Buffer.from(`me:${PASSWORD}`).toString('base64');
  await writeFile(join(directory, 'config.json'), JSON.stringify({ auths: { [host]: { auth } } }));
  return { directory, env: { DOCKER_CONFIG: directory } };
}

describe.each<[string, (tls: ReturnType<typeof createAuthority>) => DockerRegistryOptions]>([
  ['default settings', () => ({})],
  ['htpasswd over TLS', (tls) => ({ tls, auth: 'basic', users })],
  ['token authentication', () => ({ auth: 'token', users })],
  [
    'token authentication, storage elsewhere',
    () => ({ auth: 'token', users, redirectBlobs: true }),
  ],
])('docker-registry: %s', (_what, options) => {
  it('exchanges images with lkt in both directions', async () => {
    using tls = createAuthority();
    await using registry = await startDockerRegistry(options(tls));
    const { env } = await loggedIn(registry.host);
    const lkt = client({ env, ca: [tls.ca] });
    const store = await newStore();
    const index = await newIndex(store, ['linux/amd64', 'linux/arm64']);
    const image = await newImage(store, [3_000_000, 5, 100_000]);
    expect(await lkt.pushImage(store, index, at(registry))).toMatchObject({ changed: true });
    expect(await lkt.pushImage(store, index, at(registry))).toMatchObject({
      changed: false,
      bytes: 0,
    });
    const inParts = client({ env, ca: [tls.ca], chunkSize: 700_000 });
    await inParts.pushImage(store, image, at(registry, 'app:parts'));
    await store.tag(`${registry.host}/app:parts`, image);
    const later = client({ env, ca: [tls.ca] });
    const mounted = await later.pushImage(store, image, at(registry, 'other/app:1'));
    expect(mounted).toMatchObject({ changed: true, bytes: 0 });
    expect(await lkt.tags(at(registry))).toEqual(['1', 'parts']);

    const other = await newStore();
    expect(await lkt.pullImage(other, at(registry, 'other/app:1'))).toMatchObject({
      digest: image.digest,
    });
    await lkt.pullImage(other, at(registry), { platforms: [parsePlatform('linux/arm64')] });
    expect(await isWhole(other)).toBe(true);
    const elsewhere = registry.requests.filter(({ server }) => server === 'storage');
    expect(elsewhere.length > 0).toBe(options(tls).redirectBlobs === true);
    for (const { headers } of elsewhere) expect(headers.authorization).toBeUndefined();

    // It lacks the referrers API, so the fallback tag is used.
    const about = { ...at(registry, 'app'), digest: image.digest };
    await Promise.all(
      ['a', 'b', 'c'].map(async (text) => pushReferrer(lkt, at(registry), image, text)),
    );
    expect(await lkt.referrers(about)).toHaveLength(3);

    if (options(tls).auth === undefined) return;
    const error = await failure(
      client({ ca: [tls.ca] }).pushImage(store, image, at(registry, 'new:1')),
    );
    expect(error).toMatchObject({ code: 'ACCESS_DENIED' });
    expect(await failure(client().tags({ domain: registry.host, path: 'none' }))).toMatchObject({
      code: options(tls).tls === undefined ? 'ACCESS_DENIED' : 'NETWORK_FAILED',
    });
  });
});

it('docker-registry accepts concurrent pushes', async () => {
  await using registry = await startDockerRegistry();
  const store = await newStore();
  const image = await newImage(store, [1000]);
  const [one, other] = [client({ backoff: [10, 100, 1000] }), client()];
  for (let round = 0; round < 5; round += 1) {
    const name = at(registry, `app${round}:1`);
    await one.pushImage(store, image, name);
    const { domain, path } = name;
    await Promise.all(
      ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map(async (text, index) =>
        pushReferrer(index % 2 === 0 ? one : other, name, image, `${round} ${text}`),
      ),
    );
    expect(await one.referrers({ domain, path, digest: image.digest })).toHaveLength(8);
  }
});

it('docker-registry works as a mirror', async () => {
  await using registry = await startDockerRegistry();
  await using mirror = await startDockerRegistry({ proxyOf: registry.url });
  const store = await newStore();
  const image = await newImage(store);
  await client().pushImage(store, image, at(registry));
  const mirrors = { [registry.host]: [{ url: mirror.url, resolvesTags: true }] };
  const other = await newStore();
  expect(await client({ mirrors }).pullImage(other, at(registry))).toMatchObject({
    digest: image.digest,
  });
  // It forwards content before it has stored it.
  await vi.waitFor(() => expect(keptLinks(mirror)).toEqual(keptLinks(registry)), 60_000);
  await registry[Symbol.asyncDispose]();
  const third = await newStore();
  await client({ mirrors, backoff: [] }).pullImage(third, at(registry));
  expect(await isWhole(third)).toBe(true);
});

it('resumes an interrupted upload to docker-registry', async () => {
  await using registry = await startDockerRegistry();
  const proxy = await breakingProxy(Number(new URL(registry.url).port), [2_000_000, 1_000_000]);
  const store = await newStore();
  const image = await newImage(store, [5_000_000]);
  const lkt = client({ concurrency: 1 });
  const pushed = await lkt.pushImage(store, image, at(proxy));
  expect(pushed.changed).toBe(true);
  // Less than three times the size: everything once, plus what the connections buffer.
  expect(proxy.sent()).toBeLessThan(9_000_000);
  const other = await newStore();
  await client().pullImage(other, at(registry));
  expect(await isWhole(other)).toBe(true);
});

/**
 * The blobs and manifests stored in a repository of docker-registry, each a file written before its
 * link.
 */
function keptLinks({ storage }: DockerRegistry): readonly string[] {
  return globSync('**/{_layers,_manifests/revisions}/**/link', { cwd: storage }).toSorted();
}

/** A proxy that breaks the first connections after a number of sent bytes. */
async function breakingProxy(
  port: number,
  breaks: readonly number[],
): Promise<{ host: string; sent: () => number }> {
  let total = 0;
  const left = [...breaks];
  const server = createServer((socket) => {
    const through = connect(port, '127.0.0.1');
    let bytes = 0;
    socket.on('data', (chunk) => {
      bytes += chunk.length;
      total += chunk.length;
      if (bytes < (left[0] ?? Infinity)) return;
      left.shift();
      socket.destroy();
      through.destroy();
    });
    for (const end of [socket, through]) end.on('error', () => undefined);
    socket.pipe(through).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
  });
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, sent: () => total };
}

describe('other tools', () => {
  it('skopeo and lkt read what the other pushes', async () => {
    using tls = createAuthority();
    await using registry = await startDockerRegistry({ tls, auth: 'basic', users });
    const { directory, env } = await loggedIn(registry.host);
    const authFile = join(directory, 'config.json');
    const certificates = join(directory, 'certificates');
    await mkdir(certificates);
    await writeFile(join(certificates, 'ca.crt'), tls.ca);
    const lkt = client({ env, ca: [tls.ca] });
    const store = await newStore();
    const index = await newIndex(store, ['linux/amd64', 'linux/arm64']);
    await store.tag('docker.io/library/app:1', index);
    await lkt.pushImage(store, index, at(registry));
    const name = formatReference(at(registry));
    const certs = (kind: string): string[] => [
      `--${kind}cert-dir`,
      certificates,
      `--${kind}authfile`,
      authFile,
    ];
    const { stdout } = await run('skopeo', ['inspect', '--raw', ...certs(''), `docker://${name}`]);
    expect(stdout).toBe((await store.readBytes(index)).toString());
    await run('skopeo', [
      'copy',
      '--all',
      '--preserve-digests',
      ...certs('src-'),
      `docker://${name}`,
      `oci:${directory}/layout:x`,
    ]);
    const layout = await openStore(`${directory}/layout`, { create: false });
    expect((await layout.resolve('x'))?.digest).toBe(index.digest);
    await run('skopeo', [
      'copy',
      '--all',
      '--preserve-digests',
      ...certs('dest-'),
      `oci:${directory}/layout:x`,
      `docker://${name}-skopeo`,
    ]);
    const other = await newStore();
    const pulled = await lkt.pullImage(other, at(registry, 'app:1-skopeo'));
    expect(pulled.digest).toBe(index.digest);
    expect(await isWhole(other)).toBe(true);
  });

  it('oras and lkt find the referrers that the other pushes', { timeout: 120_000 }, async () => {
    await using registry = await startDockerRegistry();
    const directory = await temporary();
    const lkt = client();
    const store = await newStore();
    const image = await newImage(store, [100]);
    await lkt.pushImage(store, image, at(registry));
    const name = formatReference(at(registry));
    const made = await pushReferrer(lkt, at(registry), image, 'by lkt', 'text/lkt');
    await writeFile(join(directory, 'note.txt'), 'by oras');
    const oras = async (...args: string[]): Promise<string> =>
      (await run('oras', args, { cwd: directory, env: { ...process.env, HOME: directory } }))
        .stdout;
    await oras(
      'attach',
      '--plain-http',
      '--artifact-type',
      'text/oras',
      name,
      'note.txt:text/plain',
    );
    const found = await lkt.referrers({ ...at(registry, 'app'), digest: image.digest });
    expect(new Set(found.map(({ artifactType }) => artifactType))).toEqual(
      new Set(['text/lkt', 'text/oras']),
    );
    const seen = await oras('discover', '--plain-http', '--format', 'json', name);
    expect(seen).toContain(made.digest);
    expect(seen).toContain('text/oras');
    await oras(
      'pull',
      '--plain-http',
      `${registry.host}/app@${found.find(({ artifactType }) => artifactType === 'text/oras')?.digest}`,
      '-o',
      'out',
    );
  });
});
