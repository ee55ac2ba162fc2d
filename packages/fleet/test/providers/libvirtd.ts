import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdir, readFile, writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { guardedDirectory } from '@lkt/testing/guarded-directory';

const NOBODY = 65_534;
/** Procedures of remote_protocol.x. */
const CREATE_DOMAIN = 10;
const LIST_DOMAINS = 273;
const READY_MS = 60_000;

/** A libvirtd of its own, with a pool named `lkt`, and a proxy that loses answers. */
export interface Libvirtd extends AsyncDisposable {
  readonly uri: string;
  /** Closes the connection instead of returning the next results of a create, or of a list. */
  readonly lose: (procedure: 'create' | 'list', count: number) => void;
  /** Ends the QEMU process of a domain. */
  readonly kill: (domain: string) => Promise<void>;
}

/** Starts libvirtd in session mode, without root's rights. */
export async function startLibvirtd(): Promise<Libvirtd> {
  await using stack = new AsyncDisposableStack();
  // QEMU's sockets are below it, and a path of a socket has at most 107 bytes.
  const dir = stack.use(guardedDirectory('lv-'));
  const path = (...parts: readonly string[]): string => join(dir.path, ...parts);
  for (const name of ['run', 'cfg', 'cfg/libvirt', 'data', 'cache', 'pool'])
    await mkdir(path(name));
  await writeFile(path('cfg', 'libvirt', 'qemu.conf'), 'stdio_handler = "file"\n');
  await writeFile(path('libvirtd.conf'), `log_outputs="3:file:${path('libvirtd.log')}"\n`);
  const isRoot = process.getuid?.() === 0;
  if (isRoot) {
    await chmod(dir.path, 0o755);
    for (const name of ['', 'run', 'cfg', 'cfg/libvirt', 'data', 'cache', 'pool'])
      await chown(path(name), NOBODY, NOBODY);
  }
  const daemon = spawn('/usr/sbin/libvirtd', ['-f', path('libvirtd.conf')], {
    stdio: 'ignore',
    env: {
      ...process.env,
      HOME: dir.path,
      XDG_RUNTIME_DIR: path('run'),
      XDG_CONFIG_HOME: path('cfg'),
      XDG_DATA_HOME: path('data'),
      XDG_CACHE_HOME: path('cache'),
    },
    ...(isRoot ? { uid: NOBODY, gid: NOBODY } : {}),
  });
  stack.defer(async () => end(daemon));
  const socket = path('run', 'libvirt', 'libvirt-sock');
  await run(`qemu:///session?socket=${socket}`, [
    'pool-create-as',
    'lkt',
    'dir',
    '--target',
    path('pool'),
  ]);
  const losing = { create: 0, list: 0 };
  const proxy = createServer((client) => forward(client, connect(socket), losing));
  proxy.listen(path('proxy'));
  await once(proxy, 'listening');
  stack.defer(() => void proxy.close());
  const owned = stack.move();
  return {
    uri: `qemu:///session?socket=${path('proxy')}`,
    lose: (procedure, count) => {
      losing[procedure] = count;
    },
    kill: async (domain) => {
      const pid = await readFile(path('run', 'libvirt', 'qemu', 'run', `${domain}.pid`), 'utf8');
      process.kill(Number(pid), 'SIGKILL');
    },
    [Symbol.asyncDispose]: async () => owned.disposeAsync(),
  };
}

/** Forwards a connection of libvirt's protocol, and closes it where an answer is to be lost. */
function forward(client: Socket, server: Socket, losing: { create: number; list: number }): void {
  for (const [from, to] of [
    [client, server],
    [server, client],
  ] as const) {
    from.on('error', () => to.destroy());
    from.on('close', () => to.destroy());
  }
  client.on('data', (chunk: Buffer) => server.write(chunk));
  server.on('data', (chunk: Buffer) => {
    // Length, program, version, procedure, and type, which is 1 in a reply.
    const procedure = chunk.length >= 20 && chunk.readUInt32BE(16) === 1 && chunk.readUInt32BE(12);
    const kind =
      procedure === CREATE_DOMAIN ? 'create' : procedure === LIST_DOMAINS ? 'list' : undefined;
    if (kind !== undefined && losing[kind] > 0) {
      losing[kind] -= 1;
      client.destroy();
    } else client.write(chunk);
  });
}

/** Runs virsh, as soon as libvirtd is ready. */
async function run(uri: string, command: readonly string[]): Promise<void> {
  const deadline = Date.now() + READY_MS;
  for (;;) {
    try {
      await promisify(execFile)('virsh', ['-c', uri, ...command]);
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await sleep(200);
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}
