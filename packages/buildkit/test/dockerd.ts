import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Engine } from '@lkt/builder';
import { buildkitEngine } from '../src/index.ts';

/** Returns an engine that builds with one BuildKit. */
export function engineAt(address: string, environment: Readonly<Record<string, string>>): Engine {
  const fallback = { build: () => Promise.reject(new Error('no builder was taken')) };
  return buildkitEngine({ builders: [address], environment, fallback });
}

/**
 * A separate Docker daemon with the containerd image store and all data in a directory. Needs root.
 */
export interface Dockerd extends AsyncDisposable {
  /** Environment of the docker program. */
  readonly environment: Readonly<Record<string, string>>;
  readonly pid: number;
}

/** On a small disk, BuildKit removes what it cached for one step before the next one needs it. */
const SETTINGS = {
  features: { 'containerd-snapshotter': true },
  builder: { gc: { enabled: false } },
};

export async function startDockerd(directory: string): Promise<Dockerd> {
  mkdirSync(directory, { recursive: true });
  const at = (name: string): string => join(directory, name);
  writeFileSync(at('daemon.json'), JSON.stringify(SETTINGS));
  const log = openSync(at('log'), 'w');
  const child = spawn(
    'dockerd',
    [
      ['--config-file', at('daemon.json'), '--data-root', at('data'), '--exec-root', at('exec')],
      ['--pidfile', at('pid'), '--host', `unix://${at('socket')}`],
      ['--bridge=none', '--iptables=false', '--ip6tables=false'],
    ].flat(),
    { stdio: ['ignore', log, log], detached: true },
  );
  closeSync(log);
  const ended = once(child, 'exit');
  const failed = ended.then(() => {
    throw new Error(`dockerd has ended: ${readFileSync(at('log'), 'utf8').slice(-2000)}`);
  });
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await ended;
  };
  try {
    await Promise.race([failed, ready(at('socket'))]);
  } catch (error) {
    await stop();
    throw error;
  }
  failed.catch(() => undefined);
  const environment = {
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: directory,
    DOCKER_HOST: `unix://${at('socket')}`,
  };
  return { environment, pid: child.pid ?? 0, [Symbol.asyncDispose]: stop };
}

async function ready(socket: string): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt += 1) {
    const answered = await new Promise<boolean>((resolve) => {
      const connection = connect(socket, () => {
        connection.write('GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n');
      });
      connection.on('error', () => resolve(false));
      connection.on('data', (chunk: Buffer) => {
        connection.destroy();
        resolve(chunk.toString().includes(' 200 '));
      });
    });
    if (answered) return;
    await sleep(100);
  }
  throw new Error('dockerd does not answer');
}
