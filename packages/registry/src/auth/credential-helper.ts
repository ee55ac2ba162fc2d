import { spawn } from 'node:child_process';
import { isErrno, LktError } from '@lkt/core';
import type { Credentials } from './credential-types.ts';

const MAX_RESPONSE_BYTES = 64 * 1024;
const TIMEOUT_MS = 60_000;

/** A credential helper, and the file that names it. */
export interface CredentialHelper {
  /** `NAME` in `docker-credential-NAME`. */
  readonly name: string;
  readonly file: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * Runs `docker-credential-NAME get` (https://github.com/docker/docker-credential-helpers). Returns
 * undefined if it does not know the server.
 * @throws TOOL_MISSING; ACCESS_DENIED if it fails
 */
export async function runCredentialHelper(
  helper: CredentialHelper,
  server: string,
): Promise<Credentials | undefined> {
  const program = programOf(helper);
  const { status, output } = await run(helper, 'get', server);
  if (status !== 0) {
    if (isUnknown(output)) return undefined;
    // The helper's output is not shown, since it may contain secrets.
    throw new LktError('ACCESS_DENIED', `${program}, configured in ${helper.file}, failed`, {
      fix: `run echo ${server} | ${program} get to see why`,
    });
  }
  const { Username: username, Secret: secret } = parse(output, helper, server);
  if (typeof username !== 'string' || typeof secret !== 'string' || secret === '') return undefined;
  return username === '<token>'
    ? { kind: 'refresh', token: secret }
    : { kind: 'password', username, password: secret };
}

/**
 * Runs `docker-credential-NAME store`.
 * @throws TOOL_MISSING; ACCESS_DENIED if it fails
 */
export async function storeWithHelper(
  helper: CredentialHelper,
  server: string,
  { username, password }: { readonly username: string; readonly password: string },
): Promise<void> {
  const input = JSON.stringify({ ServerURL: server, Username: username, Secret: password });
  if ((await run(helper, 'store', input)).status === 0) return;
  throw new LktError(
    'ACCESS_DENIED',
    `${programOf(helper)}, configured in ${helper.file}, did not store the password`,
    { fix: `see whether ${programOf(helper)} list works, or remove the helper from the file` },
  );
}

/**
 * Runs `docker-credential-NAME erase`; reports whether the helper knew the server.
 * @throws TOOL_MISSING; ACCESS_DENIED if it fails
 */
export async function eraseWithHelper(helper: CredentialHelper, server: string): Promise<boolean> {
  // Some helpers succeed without knowing the server.
  if ((await runCredentialHelper(helper, server)) === undefined) return false;
  if ((await run(helper, 'erase', server)).status === 0) return true;
  throw new LktError(
    'ACCESS_DENIED',
    `${programOf(helper)}, configured in ${helper.file}, did not erase the password`,
    { fix: `run echo ${server} | ${programOf(helper)} erase to see why` },
  );
}

/**
 * Returns the program's name.
 * @throws CONFIG_INVALID
 */
export function programOf({ name, file }: Pick<CredentialHelper, 'file' | 'name'>): string {
  if (/^[\w.-]+$/.test(name)) return `docker-credential-${name}`;
  throw new LktError(
    'CONFIG_INVALID',
    `${file}: "${name}" is not the name of a credential helper`,
    {
      fix: `write NAME for the program docker-credential-NAME, or remove it from ${file}`,
    },
  );
}

function isUnknown(output: string): boolean {
  return /not found/i.test(output);
}

async function run(
  helper: CredentialHelper,
  action: 'erase' | 'get' | 'store',
  input: string,
): Promise<{ status: number | null; output: string }> {
  const program = programOf(helper);
  const { file, env } = helper;
  return new Promise((resolve, reject) => {
    const child = spawn(program, [action], {
      env: { ...env },
      stdio: ['pipe', 'pipe', 'ignore'],
      // As an option, the timeout of a program that cannot be started would delay the exit.
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const parts: Buffer[] = [];
    let size = 0;
    child.stdout.on('data', (part: Buffer) => {
      size += part.length;
      if (size > MAX_RESPONSE_BYTES) child.kill();
      else parts.push(part);
    });
    child.on('error', (cause) => {
      if (isErrno(cause, 'ENOENT'))
        reject(
          new LktError('TOOL_MISSING', `${program}, configured in ${file}, is not installed`, {
            fix: `install it, or remove it from ${file}`,
          }),
        );
      else if (cause.name === 'AbortError')
        reject(
          new LktError('ACCESS_DENIED', `${program}, configured in ${file}, does not answer`, {
            fix: `see whether ${program} list answers, or remove it from ${file}`,
          }),
        );
      else reject(cause);
    });
    child.on('close', (status) => {
      resolve({ status, output: Buffer.concat(parts).toString() });
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}

function parse(output: string, helper: CredentialHelper, server: string): Record<string, unknown> {
  const program = programOf(helper);
  try {
    const value: unknown = JSON.parse(output);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // The error would quote the output, which may contain secrets.
  }
  throw new LktError(
    'ACCESS_DENIED',
    `${program}, configured in ${helper.file}, returned no JSON object`,
    { fix: `run echo ${server} | ${program} get to see its output` },
  );
}
