import { spawn } from 'node:child_process';
import { isErrno, LktError } from '@lkt/core';
import type { Credentials } from './credential-types.ts';

const MAX_RESPONSE_BYTES = 64 * 1024;
const TIMEOUT_MS = 60_000;

/**
 * Runs `docker-credential-NAME get` (https://github.com/docker/docker-credential-helpers). Returns
 * undefined if it does not know the server.
 * @throws TOOL_MISSING; ACCESS_DENIED if it fails
 */
export async function runCredentialHelper(
  name: string,
  server: string,
  file: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Credentials | undefined> {
  if (!/^[\w.-]+$/.test(name))
    throw new LktError('CONFIG_INVALID', `${file} contains an invalid name of a credential helper`);
  const program = `docker-credential-${name}`;
  const { status, output } = await run(program, server, file, env);
  if (status !== 0) {
    if (/not found/i.test(output)) return undefined;
    // The helper's output is not shown, since it may contain secrets.
    throw new LktError('ACCESS_DENIED', `${program}, configured in ${file}, failed`, {
      fix: `run echo ${server} | ${program} get to see why`,
    });
  }
  const { Username: username, Secret: secret } = parse(output, program);
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
): Promise<{ status: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, ['get'], {
      env: { ...env },
      stdio: ['pipe', 'pipe', 'ignore'],
      timeout: TIMEOUT_MS,
    });
    const parts: Buffer[] = [];
    let size = 0;
    child.stdout.on('data', (part: Buffer) => {
      size += part.length;
      if (size > MAX_RESPONSE_BYTES) child.kill();
      else parts.push(part);
    });
    child.on('error', (cause) => {
      const error = isErrno(cause, 'ENOENT')
        ? new LktError('TOOL_MISSING', `${program}, configured in ${file}, is not installed`)
        : cause;
      reject(error);
    });
    child.on('close', (status) => {
      resolve({ status, output: Buffer.concat(parts).toString() });
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(server);
  });
}

function parse(output: string, program: string): Record<string, unknown> {
  try {
    return JSON.parse(output) as Record<string, unknown>;
  } catch {
    throw new LktError('ACCESS_DENIED', `${program} returned invalid JSON`);
  }
}
