import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeSbom } from '@lkt/attest';
import {
  type EntryToWrite,
  MediaType,
  openStore,
  parseReference,
  writeImage,
  writeLayer,
  writeReferrer,
} from '@lkt/oci';
import {
  generateKey,
  keySigner,
  readSigningKey,
  type Signer,
  signImages,
  statementAbout,
} from '@lkt/sign';
import { zipOf } from '@lkt/testing';
import { expect, test } from 'vitest';
import { main } from './program.ts';

const TRACKER = JSON.stringify({
  runc: { 'CVE-2025-31133': { releases: { trixie: { status: 'open', urgency: 'high' } } } },
});
/** A database of Go without an advisory about a package here. */
const GO_DATABASE = zipOf({ 'GO-1.json': '{ "id": "GO-1" }' });
const SBOM = JSON.stringify({
  bomFormat: 'CycloneDX',
  components: [{ purl: 'pkg:deb/debian/runc@1.1.15%2Bds1-2?distro=trixie' }],
});

const spdx = (name: string, ...purls: readonly string[]): object => ({
  spdxVersion: 'SPDX-2.3',
  name,
  packages: purls.map((purl) => ({
    externalRefs: [{ referenceType: 'purl', referenceLocator: purl }],
  })),
});

interface Done {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `lkt vulns` with the store `store` in a directory. */
async function lktVulns(
  dir: string,
  args: readonly string[],
  variables: Readonly<Record<string, string>> = {},
): Promise<Done> {
  const { PATH } = process.env;
  const env = { PATH, HOME: dir, LKT_CACHE: join(dir, 'store'), ...variables };
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [main, 'vulns', ...args],
      { cwd: dir, env },
      (error, stdout, stderr) =>
        resolve({ status: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

test('--update fetches databases, and later runs use them without a network', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-vulns-'));
  await writeFile(join(dir.path, 'sbom.json'), SBOM);
  const answers = new Map<string, string | Buffer>([
    ['/tracker', TRACKER],
    ['/all.zip', GO_DATABASE],
  ]);
  let modified = new Date(Date.now() - 40 * 86_400_000).toUTCString();
  const server = createServer((request, response) => {
    const body = answers.get(request.url ?? '');
    response.writeHead(body === undefined ? 404 : 200, { 'last-modified': modified }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
  const addresses = { LKT_VULNS_DEBIAN: `${url}/tracker`, LKT_VULNS_GO: `${url}/all.zip` };
  const lkt = async (...args: readonly string[]): Promise<Done> =>
    lktVulns(dir.path, args, addresses);

  const updated = await lkt('--update', '--json');
  expect(updated.status, updated.stderr).toBe(0);
  expect(JSON.parse(updated.stdout)).toMatchObject({
    databases: [
      { name: 'debian', url: `${url}/tracker`, digest: expect.stringMatching(/^sha256:/) },
      { name: 'go', url: `${url}/all.zip` },
    ],
  });

  // An older database leaves the earlier one.
  modified = 'Thu, 01 Jan 2026 00:00:00 GMT';
  answers.set('/tracker', '{"runc": {"CVE-1": {"releases": {}}}}');
  const older = await lkt('--update');
  expect(older.status).toBe(1);
  expect(older.stderr).toMatch(/error: the database debian at \S+ is older than the saved one/);
  expect(older.stderr).toContain('cause: it is of 2026-01-01T00:00:00.000Z, the saved one is of');

  // So does one that cannot be fetched.
  answers.delete('/tracker');
  const failed = await lkt('--update');
  expect(failed.status).toBe(1);
  expect(failed.stderr).toContain('error: ');

  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  const found = await lkt('sbom.json');
  expect(found.status).toBe(1);
  expect(found.stderr).toContain('warning: the database debian was last changed 40 days ago');
  expect(found.stdout).toContain('high  CVE-2025-31133  runc');
  expect(found.stdout).toMatch(/^1 package looked up in debian \(fetched \d{4}-\d\d-\d\d\)$/m);
});

/** Returns a record about versions of a package before `fixed`. */
const osv = (id: string, ecosystem: string, name: string, fixed: string): string =>
  JSON.stringify({
    id,
    modified: new Date(Date.now() - 86_400_000).toISOString(),
    affected: [
      {
        package: { ecosystem, name },
        ranges: [{ type: 'ECOSYSTEM', events: [{ introduced: '0' }, { fixed }] }],
      },
    ],
  });

test('--update fetches only the databases of packages in the SBOMs', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-vulns-'));
  const answers = new Map<string, string | Buffer>([
    ['/debian', TRACKER],
    ['/go.zip', GO_DATABASE],
    ['/alpine.zip', zipOf({ 'A.json': osv('A-1', 'Alpine:v3.20', 'busybox', '1.36.1-r16') })],
    ['/linux.zip', zipOf({ 'L.json': osv('L-1', 'Linux', 'Kernel', '6.12.5') })],
  ]);
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    const body = answers.get(request.url ?? '');
    response.writeHead(body === undefined ? 404 : 200).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
  const variables = Object.fromEntries(
    ['alpine', 'crates', 'go', 'linux', 'npm'].map((name) => [
      `LKT_VULNS_${name.toUpperCase()}`,
      `${url}/${name}.zip`,
    ]),
  );
  const lkt = async (...args: readonly string[]): Promise<Done> =>
    lktVulns(dir.path, args, { ...variables, LKT_VULNS_DEBIAN: `${url}/debian` });
  const busybox = 'pkg:apk/alpine/busybox@1.36.1-r15?distro=alpine-3.20.3';
  const kernel = 'pkg:generic/linux@6.12.4';
  await writeFile(join(dir.path, 'alpine.json'), JSON.stringify(spdx('alpine', busybox)));
  await writeFile(join(dir.path, 'both.json'), JSON.stringify(spdx('both', busybox, kernel)));

  const alpine = await lkt('--update', 'alpine.json');
  expect(alpine.stdout, alpine.stderr).toContain('unknown  A-1  busybox');
  expect(asked.splice(0)).toEqual(['/alpine.zip']);

  // Without --update, what lacks a database is named.
  const both = await lkt('both.json');
  expect(both.stderr).toContain('warning: the database linux was not fetched');
  expect(both.stdout).toMatch(/^1 package looked up in alpine \(fetched/m);
  expect(both.stdout).toContain(`not looked up: ${kernel}`);
  expect(both.status).toBe(1);

  const all = await lkt('--update', 'both.json', '--json');
  expect(JSON.parse(all.stdout)).toMatchObject({ error: { code: 'VULNERABLE' } });
  expect(asked.splice(0)).toEqual(['/alpine.zip', '/linux.zip']);
  expect((await lkt('both.json')).stdout).toContain('unknown  L-1  linux');

  // Without a target, those fetched before and the ones of lkt update.
  const fetched = await lkt('--update');
  expect(fetched.status, fetched.stderr).toBe(0);
  expect(asked.splice(0)).toEqual(['/alpine.zip', '/debian', '/go.zip', '/linux.zip']);

  // One that cannot be fetched leaves the earlier one.
  answers.delete('/linux.zip');
  expect((await lkt('--update', 'both.json')).stderr).toContain('error: ');
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  expect((await lkt('both.json')).stdout).toContain('unknown  L-1  linux');
});

test('looks up packages of Alpine in the layers of an image by origin and release', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-vulns-'));
  await writeFile(join(dir.path, 'a.json'), osv('A-1', 'Alpine:v3.20', 'openssl', '3.3.2-r1'));
  const store = await openStore(join(dir.path, 'store'));
  const layer = await writeLayer(store, [
    fileEntry('etc/os-release', 'ID=alpine\nVERSION_ID=3.20.3\n'),
    fileEntry('lib/apk/db/installed', 'P:libcrypto3\nV:3.3.2-r0\nA:x86_64\no:openssl\n'),
  ]);
  const platform = { os: 'linux', architecture: 'amd64' };
  const image = await writeImage(store, { config: {}, layers: [layer], platform });
  await store.tag('registry.example/app:1', image);
  const found = await lktVulns(dir.path, ['--db', 'a.json', 'registry.example/app:1']);
  expect(found.stdout, found.stderr).toContain('unknown  A-1  libcrypto3  3.3.2-r0');
  expect(found.stdout).toContain('1 package looked up in a.json');
});

test('looks up packages in the layers of an image that its SBOM lacks', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-vulns-'));
  await writeFile(join(dir.path, 'tracker.json'), TRACKER);
  const store = await openStore(join(dir.path, 'store'));
  const status = ['runc', 'tool']
    .map(
      (name) => `Package: ${name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n`,
    )
    .join('\n');
  const layer = await writeLayer(store, [
    fileEntry('etc/os-release', 'ID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\n'),
    fileEntry('var/lib/dpkg/status', status),
  ]);
  const platform = { os: 'linux', architecture: 'amd64' };
  const image = await writeImage(store, { config: {}, layers: [layer], platform });
  await store.tag('registry.example/app:1', image);
  const sbom = spdx('theirs', 'pkg:deb/debian/tool@1?distro=trixie');
  await store.addReferrer(await writeSbom(store, image, sbom as never));
  const found = await lktVulns(dir.path, ['--db', 'tracker.json', 'registry.example/app:1']);
  expect(found.stderr).toContain(
    'warning: the SBOM of registry.example/app:1 lacks runc 1, which its layers contain',
  );
  expect(found.stdout, found.stderr).toContain('high  CVE-2025-31133  runc');
  expect(found.status).toBe(1);
});

function osRelease(): EntryToWrite {
  return fileEntry('etc/os-release', 'ID=debian\nVERSION_ID="13"\n');
}

function fileEntry(path: string, text: string): EntryToWrite {
  const data = Buffer.from(text);
  return {
    path,
    type: 'file',
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtime: 0,
    size: data.length,
    content: (async function* content(): AsyncGenerator<Uint8Array> {
      yield data;
    })(),
  };
}

test('an SBOM that others attach hides no package under another source package or release', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-vulns-'));
  await writeFile(join(dir.path, 'tracker.json'), TRACKER);
  const store = await openStore(join(dir.path, 'store'));
  const layer = await writeLayer(store, [
    fileEntry('etc/os-release', 'ID=debian\nVERSION_ID="13"\n'),
    fileEntry('var/lib/dpkg/status', 'Package: runc\nStatus: install ok installed\nVersion: 1\n'),
    fileEntry('lib/apk/db/installed', 'P:busybox\nV:1\nA:x86_64\n'),
  ]);
  const platform = { os: 'linux', architecture: 'amd64' };
  const image = await writeImage(store, { config: {}, layers: [layer], platform });
  await store.tag('registry.example/app:1', image);
  for (const purl of [
    'pkg:deb/debian/runc@1?distro=trixie&upstream=harmless',
    'pkg:deb/debian/runc@1?distro=sid',
  ])
    await store.addReferrer(await writeSbom(store, image, spdx('theirs', purl) as never));
  const lkt = async (): Promise<Done> =>
    lktVulns(dir.path, ['--db', 'tracker.json', 'registry.example/app:1']);
  const found = await lkt();
  expect(found.stdout, found.stderr).toContain('high  CVE-2025-31133  runc');
  expect(found.stdout).toMatch(/^not looked up: .*pkg:apk\/debian\/busybox@1/m);
  expect(found.stderr).toContain('lacks runc 1 and 1 more, which its layers contain');
  expect(found.status).toBe(1);

  const artifactType = 'application/spdx+json';
  const layers = [{ mediaType: artifactType, ...(await store.writeBytes(Buffer.from('{'))) }];
  await store.addReferrer(await writeReferrer(store, { subject: image, artifactType, layers }));
  const broken = await lkt();
  expect(broken.stderr).toMatch(
    /^warning: the SBOM sha256:\S+, which others attached to registry\.example\/app:1, is not used: not JSON: /m,
  );
  expect(broken.stdout).toBe(found.stdout);
});

/** Writes databases and returns an SBOM with a vulnerable Go module in a package of Debian. */
async function writeClaim(dir: string): Promise<object> {
  const module = 'pkg:golang/github.com/opencontainers/runc@v1.1.15';
  const deb = 'pkg:deb/debian/runc@1?arch=amd64&distro=debian-13';
  const record = {
    id: 'GO-1',
    aliases: ['CVE-2025-31133'],
    affected: [
      {
        package: { ecosystem: 'Go', name: 'github.com/opencontainers/runc' },
        ranges: [{ type: 'SEMVER', events: [{ introduced: '0' }] }],
      },
    ],
  };
  await writeFile(
    join(dir, 'tracker.json'),
    TRACKER.replace('"open"', '"resolved", "fixed_version": "0"'),
  );
  await writeFile(join(dir, 'go.json'), JSON.stringify(record));
  const claim = {
    bomFormat: 'CycloneDX',
    components: [{ name: 'runc', purl: deb, components: [{ name: 'runc', purl: module }] }],
  };
  await writeFile(join(dir, 'claim.json'), JSON.stringify(claim));
  return claim;
}

/** Looks up a target in the databases of `writeClaim`. */
async function lookUp(dir: string, target: string, ...flags: readonly string[]): Promise<string> {
  return (await lktVulns(dir, ['--db', 'tracker.json', '--db', 'go.json', ...flags, target]))
    .stdout;
}

test('an SBOM that others attach makes no Go module one of Debian', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-vulns-'));
  const claim = await writeClaim(dir.path);
  const store = await openStore(join(dir.path, 'store'));
  const platform = { os: 'linux', architecture: 'amd64' };
  const find = async (target: string): Promise<string> => lookUp(dir.path, target);
  const status = 'Package: runc\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n';
  for (const [tag, entries] of [
    ['without', [osRelease()]],
    ['with', [osRelease(), fileEntry('var/lib/dpkg/status', status)]],
  ] as const) {
    const layers = [await writeLayer(store, entries)];
    const image = await writeImage(store, { config: {}, layers, platform });
    await store.tag(`registry.example/${tag}:1`, image);
    await store.addReferrer(await writeSbom(store, image, claim as never));
  }
  expect(await find('registry.example/without:1')).toContain('CVE-2025-31133');
  expect(await find('registry.example/with:1')).not.toContain('CVE-2025-31133');
  expect(await find('claim.json')).not.toContain('CVE-2025-31133');
});

/** Returns a rule of a policy that requires all of some keys. */
function rule(...keys: readonly string[]): string {
  return `{images: ["registry.example/*"], threshold: ${keys.length}, keys: [${keys.join(', ')}]}`;
}

test('an SBOM that a signer of the policy attests counts as one of lkt', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-vulns-'));
  const claim = await writeClaim(dir.path);
  const store = await openStore(join(dir.path, 'store'));
  const platform = { os: 'linux', architecture: 'amd64' };
  const signers = new Map<string, Signer>();
  for (const name of ['release', 'other']) {
    const key = await generateKey('');
    await writeFile(join(dir.path, `${name}.pub`), key.publicKey);
    await writeFile(join(dir.path, `${name}.key`), key.privateKey);
    const secret = await readSigningKey(join(dir.path, `${name}.key`), { password: '' });
    signers.set(name, keySigner(secret));
  }
  const attest = async (
    tag: string,
    type: string,
    by: readonly string[],
    about = tag,
    document: unknown = claim,
  ): Promise<string> => {
    const layers = [await writeLayer(store, [osRelease(), fileEntry('tag', tag)])];
    const subject = await writeImage(store, { config: {}, layers, platform });
    const reference = `registry.example/${tag}:1`;
    await store.tag(reference, subject);
    const statement = statementAbout(
      { name: `registry.example/${about}`, digest: subject.digest },
      type,
      document,
    );
    for (const name of by) {
      const signer = signers.get(name);
      if (signer === undefined) throw new Error(`no signer ${name}`);
      await signImages(store, {
        name: parseReference(reference),
        signer,
        images: [{ subject, statements: [statement] }],
        statementsOnly: true,
      });
    }
    return reference;
  };
  const cyclone = 'https://cyclonedx.org/bom';
  const [one, both, moved, others] = [
    await attest('one', cyclone, ['release']),
    await attest('both', cyclone, ['release', 'other']),
    await attest('moved', cyclone, ['release'], 'elsewhere'),
    await attest('others', 'https://example.org/notes', ['release']),
  ];
  const isDebian = async (target: string, ...flags: readonly string[]): Promise<boolean> => {
    const stdout = await lookUp(dir.path, target, '--fail-on', 'none', ...flags);
    return !stdout.includes('CVE-2025-31133') && stdout.includes('2 packages looked up');
  };
  // Without a policy, no signer is trusted.
  expect(await isDebian(one)).toBe(false);
  await writeFile(join(dir.path, 'given.yml'), `signers: [${rule('release.pub')}]`);
  expect(await isDebian(one, '--trust', 'given.yml')).toBe(true);
  const policy = async (text: string): Promise<void> =>
    writeFile(join(dir.path, 'trust.yml'), text);
  await policy(`signers: [${rule('release.pub')}]`);
  expect(await isDebian(one)).toBe(true);
  expect(await isDebian(moved)).toBe(true);
  expect(await isDebian(others)).toBe(false);
  await policy(`signers: [${rule('release.pub', 'other.pub')}]`);
  expect(await isDebian(one)).toBe(false);
  expect(await isDebian(both)).toBe(true);
  for (const text of [
    `signers: [${rule('other.pub')}]`,
    `signers: [${rule('release.pub')}, ${rule('other.pub')}]`,
    `signers: [${rule('release.pub').replace('example/*', 'example/other')}]`,
    `signers: [{images: ["registry.example/*"], rebuilders: {keys: [release.pub]}}]`,
    'required: true',
  ]) {
    await policy(text);
    expect(await isDebian(one), text).toBe(false);
  }
  await policy(`signers: [${rule('release.pub').replace('{', '{bindRepository: true, ')}]`);
  expect(await isDebian(one)).toBe(true);
  expect(await isDebian(moved)).toBe(false);
});

test('an SBOM that others attach to an image hides no package', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-vulns-'));
  await writeFile(join(dir.path, 'tracker.json'), TRACKER);
  const store = await openStore(join(dir.path, 'store'));
  const write = async (mediaType: string, content: object) => ({
    mediaType,
    ...(await store.writeBytes(Buffer.from(JSON.stringify(content)))),
  });
  const rootfs = { type: 'layers', diff_ids: [] };
  const config = await write(MediaType.ociConfig, { architecture: 'amd64', os: 'linux', rootfs });
  const manifest = { schemaVersion: 2, mediaType: MediaType.ociManifest, config, layers: [] };
  const image = await write(MediaType.ociManifest, manifest);
  await store.tag('registry.example/app:1', image);
  const documents = [
    spdx('own', 'pkg:deb/debian/runc@1.1.15%2Bds1-2?distro=trixie'),
    // They are read in the order of their digests.
    ...Array.from({ length: 8 }, (_, index) => spdx(`other ${index}`, 'pkg:deb/debian/a@1')),
  ];
  for (const document of documents)
    await store.addReferrer(await writeSbom(store, image, document as never));
  const found = await lktVulns(dir.path, ['--db', 'tracker.json', 'registry.example/app:1']);
  expect(found.stdout, found.stderr).toContain('high  CVE-2025-31133  runc');
  expect(found.status).toBe(1);
});
