import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { isErrno, LktError } from '@lkt/core';
import type { MachineRecord, PublishedPort } from '@lkt/machine';

/**
 * Returns the host port forwarded to the machine's ssh server.
 * @throws LktError NOT_FOUND
 */
export function sshPort({ name, ports, services }: MachineRecord): PublishedPort {
  const port = ports.find(({ guestPort, protocol }) => guestPort === 22 && protocol === 'tcp');
  if (port !== undefined) return port;
  const isKnown = services !== undefined;
  throw new LktError(
    'NOT_FOUND',
    isKnown
      ? `no service of the machine ${name} has an ssh server`
      : `no port of this machine leads to an ssh server of the machine ${name}`,
    {
      detail: isKnown ? `  its services: ${services.join(', ') || 'none'}` : undefined,
      fix: isKnown
        ? 'add the service lkt/sshd to its config, or publish port 22: lkt run --publish 0:22'
        : 'run it by its config, or publish the port: lkt run --publish 0:22',
    },
  );
}

/**
 * Returns the arguments of ssh that verify the host key of a machine: by the fingerprint that its
 * console announced, else as the machine's first login saw it. The key is in the machine's record,
 * not in the user's known_hosts.
 * @throws LktError SIGNATURE_INVALID if the server has another key than the console announced
 */
export async function hostKeyArguments(
  { dir, name }: MachineRecord,
  port: PublishedPort,
): Promise<readonly string[]> {
  const { announcedHostKey, knownHost, readConsoleLog } = await import('@lkt/machine');
  const file = join(dir, 'known_hosts');
  const alias = basename(dir);
  if (!existsSync(file)) {
    const fingerprint = announcedHostKey((await readConsoleLog(dir)).toString('latin1'));
    if (fingerprint !== undefined) {
      const words = ['-T', '10', '-t', 'ed25519', '-p', String(port.hostPort), port.address];
      const line = knownHost(await output('ssh-keyscan', words), fingerprint, alias);
      if (line === undefined)
        throw new LktError(
          'SIGNATURE_INVALID',
          `the ssh server of ${name} has another host key than its console announced`,
          { fix: `see the announcement: lkt logs ${name}` },
        );
      await writeFile(file, line, { mode: 0o600 });
    }
  }
  const isKnown = existsSync(file);
  return Object.entries({
    HostKeyAlias: alias,
    UserKnownHostsFile: `"${file}"`,
    GlobalKnownHostsFile: '/dev/null',
    StrictHostKeyChecking: isKnown ? 'yes' : 'accept-new',
    UpdateHostKeys: 'no',
    CheckHostIP: 'no',
  }).flatMap(([option, value]) => ['-o', `${option}=${value}`]);
}

/**
 * Runs ssh with this process's terminal, and returns its exit status.
 * @param stdout descriptor for its output
 * @throws LktError TOOL_MISSING
 */
export async function runSsh(words: readonly string[], stdout: number): Promise<number> {
  const child = spawn('ssh', words, { stdio: ['inherit', stdout, 'inherit'] });
  // ssh passes Ctrl-C on to the machine.
  const [code] = (await once(child, 'close').catch(missing)) as [number | null];
  return code ?? 255;
}

async function output(program: string, words: readonly string[]): Promise<string> {
  const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'ignore'] });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text = (text + chunk).slice(-MAX_OUTPUT);
  });
  await once(child, 'close').catch(missing);
  return text;
}

const MAX_OUTPUT = 64 * 1024;

async function missing(error: unknown): Promise<never> {
  if (!isErrno(error, 'ENOENT')) throw error;
  const { toolMissing } = await import('@lkt/machine');
  throw toolMissing('ssh', 'openssh-client');
}
