import { execFile } from 'node:child_process';
import { chmod, link, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { digestHex, digestOf } from '@lkt/core';
import type { Mirror } from '../src/archive/mirror.ts';

const exec = promisify(execFile);

type TestFile =
  | string
  | Buffer
  | { readonly text: string; readonly mode: number }
  | { readonly symlink: string }
  | { readonly hardlink: string }
  | { readonly directory: number };

export interface TestDeb {
  readonly name: string;
  readonly version?: string;
  readonly architecture?: string;
  /** Further control fields, such as Depends. */
  readonly fields?: Readonly<Record<string, string>>;
  readonly files?: Readonly<Record<string, TestFile>>;
  readonly compression?: 'xz' | 'gzip' | 'zstd' | 'none';
}

export interface TestSource {
  readonly name: string;
  readonly version: string;
  /** Files in the pool, by name. */
  readonly files: Readonly<Record<string, string>>;
}

/** Builds a .deb with dpkg-deb. */
export async function buildDeb(deb: TestDeb): Promise<Buffer> {
  const root = await mkdtemp(join(tmpdir(), 'lkt-deb-'));
  try {
    const tree = join(root, 'tree');
    await mkdir(join(tree, 'DEBIAN'), { recursive: true, mode: 0o755 });
    for (const [path, file] of Object.entries(deb.files ?? {})) {
      await place(tree, join(tree, path), file);
    }
    const control = Object.entries(controlOf(deb)).map(([key, value]) => `${key}: ${value}\n`);
    await writeFile(join(tree, 'DEBIAN/control'), control.join(''));
    const out = join(root, 'out.deb');
    await exec(
      'dpkg-deb',
      ['--root-owner-group', `-Z${deb.compression ?? 'xz'}`, '--build', tree, out],
      {
        env: { ...process.env, SOURCE_DATE_EPOCH: '1700000000' },
      },
    );
    return await readFile(out);
  } finally {
    await rm(root, { recursive: true });
  }
}

async function place(tree: string, path: string, file: TestFile): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  if (typeof file === 'string' || Buffer.isBuffer(file))
    await writeFile(path, file, { mode: 0o644 });
  else if ('text' in file) {
    await writeFile(path, file.text);
    await chmod(path, file.mode);
  } else if ('symlink' in file) await symlink(file.symlink, path);
  else if ('hardlink' in file) await link(join(tree, file.hardlink), path);
  else {
    await mkdir(path, { recursive: true });
    await chmod(path, file.directory);
  }
}

function controlOf(deb: TestDeb): Record<string, string> {
  return {
    Package: deb.name,
    Version: deb.version ?? '1.0',
    Architecture: deb.architecture ?? 'amd64',
    Maintainer: 'Nobody <nobody@example.org>',
    Description: 'a package for tests',
    ...deb.fields,
  };
}

/**
 * A signed Debian archive on a loopback port: the main archive below `/debian`, the security
 * archive below `/debian-security`. Tests may change `files` to damage it.
 */
export class TestArchive implements AsyncDisposable {
  /** Path below the server's root → content. */
  readonly files: Map<string, Buffer> = new Map();
  /** Requested paths. */
  readonly requests: string[] = [];
  /** May answer a request in place of the archive. */
  intercept: ((path: string, response: ServerResponse) => boolean) | undefined;
  readonly #home: string;
  readonly #server: Server;
  #port = 0;

  private constructor(home: string) {
    this.#home = home;
    this.#server = createServer((request, response) => {
      const path = (request.url ?? '').slice(1);
      this.requests.push(path);
      if (this.intercept?.(path, response) === true) return;
      const content = this.files.get(path);
      if (content === undefined) response.writeHead(404).end();
      else response.writeHead(200, { 'content-length': content.length }).end(content);
    });
  }

  static async create(): Promise<TestArchive> {
    const archive = new TestArchive(await mkdtemp(join(tmpdir(), 'lkt-gpg-')));
    await archive.#gpg([
      '--quick-generate-key',
      'Archive <archive@example.org>',
      'ed25519',
      'sign',
    ]);
    await archive.#gpg(['--output', archive.keyring, '--export']);
    await new Promise<void>((resolve) => archive.#server.listen(0, '127.0.0.1', resolve));
    const address = archive.#server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    archive.#port = address.port;
    return archive;
  }

  get keyring(): string {
    return join(this.#home, 'archive.gpg');
  }

  get mirror(): Mirror {
    const root = `http://127.0.0.1:${this.#port}`;
    return {
      source: 'the test',
      archives: { debian: [`${root}/debian`], 'debian-security': [`${root}/debian-security`] },
    };
  }

  /** Replaces the packages of the suite, its updates and its security suite. */
  async publish(
    suite: string,
    debs: readonly TestDeb[],
    more: {
      updates?: readonly TestDeb[];
      security?: readonly TestDeb[];
      validUntil?: string;
      date?: string;
      /** Source packages of the main archive; without them it has no Sources index. */
      sources?: readonly TestSource[];
      securitySources?: readonly TestSource[];
    } = {},
  ): Promise<void> {
    const { updates = [], security = [], sources, securitySources = [] } = more;
    const none = sources === undefined ? undefined : [];
    await this.#publishOne('debian', suite, debs, more, sources);
    await this.#publishOne('debian', `${suite}-updates`, updates, more, none);
    await this.#publishOne(
      'debian-security',
      `${suite}-security`,
      security,
      more,
      none && securitySources,
    );
  }

  /** Clear-signs a text as an InRelease is signed. */
  async sign(text: string): Promise<Buffer> {
    const path = join(this.#home, 'Release');
    await writeFile(path, text);
    await this.#gpg(['--yes', '--output', `${path}.asc`, '--clear-sign', path]);
    return readFile(`${path}.asc`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await exec('gpgconf', ['--homedir', this.#home, '--kill', 'all']);
    await rm(this.#home, { recursive: true, force: true });
  }

  async #publishOne(
    archive: string,
    suite: string,
    debs: readonly TestDeb[],
    { validUntil, date }: { validUntil?: string; date?: string },
    sources: readonly TestSource[] | undefined,
  ): Promise<void> {
    const paragraphs: string[] = [];
    for (const deb of debs) {
      const content = await buildDeb(deb);
      const control = controlOf(deb);
      const file = `${deb.name}_${control['Version']?.replace(/^\d+:/, '')}_${control['Architecture']}.deb`;
      const path = `pool/main/${deb.name[0]}/${deb.name}/${file}`;
      this.files.set(`${archive}/${path}`, content);
      const fields = {
        ...control,
        Filename: path,
        Size: String(content.length),
        SHA256: digestHex(digestOf(content)),
      };
      paragraphs.push(
        Object.entries(fields)
          .map(([key, value]) => `${key}: ${value}\n`)
          .join(''),
      );
    }
    const suitePath = `${archive}/dists/${suite}`;
    const lines = await this.#publishIndex(suitePath, 'main/binary-amd64', 'Packages', paragraphs);
    if (sources !== undefined) {
      const text = sources.map((source) => this.#publishSource(archive, source));
      lines.push(...(await this.#publishIndex(suitePath, 'main/source', 'Sources', text)));
    }
    const release = [
      'Origin: Debian\n',
      `Suite: ${suite}\nCodename: ${suite}\n`,
      ...(date === undefined ? [] : [`Date: ${date}\n`]),
      ...(validUntil === undefined ? [] : [`Valid-Until: ${validUntil}\n`]),
      'Acquire-By-Hash: yes\n',
      'SHA256:\n',
      ...lines,
    ];
    this.files.set(`${archive}/dists/${suite}/InRelease`, await this.sign(release.join('')));
  }

  /** Returns the lines of Release for an index in all its compressions. */
  async #publishIndex(
    suitePath: string,
    base: string,
    name: string,
    paragraphs: readonly string[],
  ): Promise<string[]> {
    const index = Buffer.from(paragraphs.join('\n'));
    const forms = { '': index, '.gz': gzipSync(index), '.xz': await this.#xz(index) };
    return Object.entries(forms).map(([end, content]) => {
      const hash = digestHex(digestOf(content));
      if (end !== '') {
        this.files.set(`${suitePath}/${base}/${name}${end}`, content);
        this.files.set(`${suitePath}/${base}/by-hash/SHA256/${hash}`, content);
      }
      return ` ${hash} ${content.length} ${base}/${name}${end}\n`;
    });
  }

  #publishSource(archive: string, { name, version, files }: TestSource): string {
    const directory = `pool/main/${name[0]}/${name}`;
    const lines = Object.entries(files).map(([file, text]) => {
      this.files.set(`${archive}/${directory}/${file}`, Buffer.from(text));
      return ` ${digestHex(digestOf(text))} ${text.length} ${file}\n`;
    });
    return [
      `Package: ${name}\nVersion: ${version}\nDirectory: ${directory}\n`,
      'Checksums-Sha256:\n',
      ...lines,
    ].join('');
  }

  async #xz(content: Buffer): Promise<Buffer> {
    const path = join(this.#home, 'Packages');
    await writeFile(path, content);
    await exec('xz', ['--force', '--keep', path]);
    return readFile(`${path}.xz`);
  }

  async #gpg(args: readonly string[]): Promise<void> {
    await exec('gpg', [
      '--homedir',
      this.#home,
      '--batch',
      '--quiet',
      '--passphrase',
      '',
      '--pinentry-mode',
      'loopback',
      ...args,
    ]);
  }
}
