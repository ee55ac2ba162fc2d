import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

/** Debian packages with the source of buildctl and its imports. */
const SOURCES = ['golang-github-docker-docker-dev', 'golang-google-grpc-dev', 'golang-1.24-go'];

/**
 * Returns the directory of a `buildctl`. Debian ships only its source, with Docker's. Compiles it
 * once per installed version, which takes about a minute.
 */
export async function buildctl(): Promise<string> {
  const { XDG_CACHE_HOME = join(homedir(), '.cache') } = process.env;
  const format = ['-f', '${Package} ${Version}\n'];
  const versions = execFileSync('/usr/bin/dpkg-query', ['-W', ...format, ...SOURCES], {
    encoding: 'utf8',
  });
  const key = createHash('sha256').update(versions).digest('hex').slice(0, 16);
  const directory = join(XDG_CACHE_HOME, 'lkt-proofs', `buildctl-${key}`);
  if (existsSync(join(directory, 'buildctl'))) return directory;
  mkdirSync(dirname(directory), { recursive: true });
  const made = mkdtempSync(`${directory}-`);
  try {
    // Unoptimized: it compiles faster, and runs only for seconds.
    const flags = ['-gcflags=all=-N -l', '-o', join(made, 'buildctl')];
    const output = [...flags, 'github.com/moby/buildkit/cmd/buildctl'];
    await promisify(execFile)('/usr/lib/go-1.24/bin/go', ['build', ...output], {
      cwd: '/',
      env: {
        PATH: '/usr/bin:/bin',
        GO111MODULE: 'off',
        GOPATH: '/usr/share/gocode',
        // Shares compiled packages with other programs.
        GOCACHE: join(XDG_CACHE_HOME, 'go-build'),
        GOFLAGS: '-trimpath',
        GOGC: '400',
        CGO_ENABLED: '0',
      },
    });
    renameSync(made, directory);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
  return directory;
}

/** A listening address for buildctl. */
export interface Listening extends AsyncDisposable {
  /** `tcp://127.0.0.1:PORT` or `unix:///PATH`. */
  readonly address: string;
}

/**
 * Makes the BuildKit in a Docker reachable like a buildkitd: Docker connects to it after an HTTP
 * upgrade.
 * @param socket the socket of Docker
 * @param path the socket to create; default: a TCP port of the loopback interface
 */
export async function listenForBuildctl(socket: string, path?: string): Promise<Listening> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const docker = connect({ path: socket, allowHalfOpen: true });
    for (const end of [client, docker]) {
      open.add(end);
      end.on('close', () => open.delete(end));
    }
    client.on('error', () => docker.destroy());
    docker.on('error', () => client.destroy());
    docker.write(
      'POST /grpc HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n',
    );
    let head = Buffer.alloc(0);
    const read = (chunk: Buffer): void => {
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf('\r\n\r\n');
      if (end === -1) return;
      docker.off('data', read);
      client.write(head.subarray(end + 4));
      docker.pipe(client);
      client.pipe(docker);
    };
    docker.on('data', read);
  });
  await new Promise<void>((resolve) => {
    if (path === undefined) server.listen(0, '127.0.0.1', resolve);
    else server.listen(path, resolve);
  });
  return {
    address: path === undefined ? `tcp://127.0.0.1:${portOf(server)}` : `unix://${path}`,
    [Symbol.asyncDispose]: async () => {
      for (const end of open) end.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
