import { execFileSync } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { digestHex, digestOf } from '@lkt/core';
import type { Mirror } from '@lkt/debian';
import { temporary, write } from '../../git/test/checkout.ts';

/** A Debian archive with one suite on a loopback port, signed with its own key. */
export interface DebianArchive extends AsyncDisposable {
  readonly mirror: Mirror;
  readonly keyring: string;
  /** Requested paths. */
  readonly requests: string[];
  /**
   * Replaces the packages of the archive, for amd64 and arm64: version and dependencies by name.
   */
  publish(
    packages: Readonly<Record<string, readonly [version: string, depends?: string, more?: More]>>,
  ): Promise<void>;
}

/** Contents of a package besides its file `usr/share/NAME/version`. */
interface More {
  /** Name of the source package. */
  readonly source?: string;
  /** More lines of the control file. */
  readonly control?: string;
  /** Contents by path. */
  readonly files?: Readonly<Record<string, string>>;
}

const ARCHITECTURES = ['amd64', 'arm64'];

export async function debianArchive(): Promise<DebianArchive> {
  const home = await temporary();
  const files = new Map<string, Buffer>();
  const requests: string[] = [];
  const gpg = (...args: string[]): Buffer =>
    execFileSync(
      'gpg',
      [
        '--homedir',
        home.path,
        '--batch',
        '--quiet',
        '--yes',
        '--passphrase',
        '',
        '--pinentry-mode',
        'loopback',
        ...args,
      ],
      { stdio: 'pipe' },
    );
  gpg('--quick-generate-key', 'Archive <archive@example.org>', 'ed25519', 'sign');
  const keyring = join(home.path, 'archive.gpg');
  gpg('--output', keyring, '--export');
  const server = createServer(({ url = '' }, response) => {
    requests.push(url);
    const content = files.get(url);
    response.writeHead(content === undefined ? 404 : 200).end(content);
  });
  const root = `http://127.0.0.1:${await listen(server)}`;
  return {
    mirror: {
      source: 'the test',
      archives: { debian: [`${root}/debian`], 'debian-security': [`${root}/security`] },
    },
    keyring,
    requests,
    async publish(packages) {
      files.clear();
      const paragraphs = new Map(ARCHITECTURES.map((architecture) => [architecture, '']));
      for (const [name, [version, depends, more = {}]] of Object.entries(packages)) {
        for (const architecture of ARCHITECTURES) {
          const fields = `Package: ${name}\nVersion: ${version}\nArchitecture: ${architecture}\n${depends === undefined ? '' : `Depends: ${depends}\n`}`;
          const deb = await buildDeb(
            home.path,
            name,
            `${fields}Maintainer: Nobody <n@example.org>\nDescription: for tests\n${more.control ?? ''}`,
            more.files,
          );
          const { source = '' } = more;
          const pool = source === '' ? 'pool/main' : `pool/main/${source[0]}/${source}`;
          const path = `${pool}/${name}_${version}_${architecture}.deb`;
          files.set(`/debian/${path}`, deb);
          const entry = `${fields}Filename: ${path}\nSize: ${deb.length}\nSHA256: ${digestHex(digestOf(deb))}\n\n`;
          paragraphs.set(architecture, `${paragraphs.get(architecture) ?? ''}${entry}`);
        }
      }
      for (const [archive, suite, isFull] of [
        ['debian', 'trixie', true],
        ['debian', 'trixie-updates', false],
        ['security', 'trixie-security', false],
      ] as const) {
        const hashes = ARCHITECTURES.flatMap((architecture) => {
          const text = isFull ? (paragraphs.get(architecture) ?? '') : '';
          const index = execFileSync('xz', ['--stdout'], { input: text });
          const name = `main/binary-${architecture}/Packages`;
          files.set(`/${archive}/dists/${suite}/${name}.xz`, index);
          return [['', Buffer.from(text)] as const, ['.xz', index] as const].map(
            ([end, content]) =>
              ` ${digestHex(digestOf(content))} ${content.length} ${name}${end}\n`,
          );
        });
        const release = join(home.path, 'Release');
        await writeFile(
          release,
          `Origin: Debian\nSuite: ${suite}\nCodename: ${suite}\nSHA256:\n${hashes.join('')}`,
        );
        gpg('--output', `${release}.asc`, '--clear-sign', release);
        files.set(`/${archive}/dists/${suite}/InRelease`, await readFile(`${release}.asc`));
      }
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      execFileSync('gpgconf', ['--homedir', home.path, '--kill', 'all']);
      await home[Symbol.asyncDispose]();
    },
  };
}

/** Builds a .deb with the file `usr/share/NAME/version`, and others. */
async function buildDeb(
  dir: string,
  name: string,
  control: string,
  files: More['files'] = {},
): Promise<Buffer> {
  const tree = join(dir, 'tree', name);
  await rm(tree, { recursive: true, force: true });
  await mkdir(tree, { recursive: true });
  await write(tree, {
    'DEBIAN/control': control,
    [`usr/share/${name}/version`]: control,
    ...files,
  });
  const out = join(dir, `${name}.deb`);
  execFileSync('dpkg-deb', ['--root-owner-group', '--build', tree, out], {
    stdio: 'pipe',
    env: { PATH: process.env['PATH'], SOURCE_DATE_EPOCH: '1700000000' },
  });
  return readFile(out);
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
