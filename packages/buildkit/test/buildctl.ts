import { connect, createServer, type Server, type Socket } from 'node:net';
import { goProgram } from '../../dockerfile/test/frontend/go-program.ts';

/**
 * Returns the directory of a `buildctl`. Debian ships only its source, with Docker's. Compiling it
 * takes about a minute.
 */
export async function buildctl(): Promise<string> {
  return goProgram('buildctl', {
    path: 'github.com/moby/buildkit/cmd/buildctl',
    packages: ['golang-github-docker-docker-dev', 'golang-google-grpc-dev'],
  });
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
