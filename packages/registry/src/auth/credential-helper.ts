import { spawn } from 'node:child_process';
import { isErrno, LktError } from '@lkt/core';
import type { Credentials } from './credentials.ts';

const MAX_ANSWER = 64 * 1024;
const PATIENCE = 60_000;

/**
 * Asks `docker-credential-NAME get` (https://github.com/docker/docker-credential-helpers).
 * @throws LktError TOOL_MISSING; ACCESS_DENIED when it fails, which not to know the server is not
 */
export async function askHelper(
  name: string,
  server: string,
  file: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Credentials | undefined> {
  if (!/^[\w.-]+$/.test(name))
    throw new LktError('CONFIG_INVALID', `${file} names a credential helper that is no name`);
  const program = `docker-credential-${name}`;
  const { status, answer } = await run(program, server, file, env);
  if (status !== 0) {
    if (/not found/i.test(answer)) return undefined;
    // What it said is not shown: nobody knows what is in it.
    throw new LktError('ACCESS_DENIED', `${program}, which ${file} names, fails`, {
      fix: `see why with: echo ${server} | ${program} get`,
    });
  }
  const { Username: username, Secret: secret } = parse(answer, program);
  if (typeof username !== 'string' || typeof secret !== 'string' || secret === '') return undefined;
  return username === '<token>'
    ? { kind: 'refresh', token: secret }
    : { kind: 'password', username, password: secret };
}

async function run(
  program: string,
  server: string,
  file: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<{ status: number | null; answer: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, ['get'], {
      env: { ...env },
      stdio: ['pipe', 'pipe', 'ignore'],
      timeout: PATIENCE,
    });
    const parts: Buffer[] = [];
    let size = 0;
    child.stdout.on('data', (part: Buffer) => {
      size += part.length;
      if (size > MAX_ANSWER) child.kill();
      else parts.push(part);
    });
    child.on('error', (cause) => {
      const error = isErrno(cause, 'ENOENT')
        ? new LktError('TOOL_MISSING', `${program}, which ${file} names, is not installed`)
        : cause;
      reject(error);
    });
    child.on('close', (status) => {
      resolve({ status, answer: Buffer.concat(parts).toString() });
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(server);
  });
}

function parse(answer: string, program: string): Record<string, unknown> {
  try {
    return JSON.parse(answer) as Record<string, unknown>;
  } catch {
    throw new LktError('ACCESS_DENIED', `${program} gives no credentials in JSON`);
  }
}
