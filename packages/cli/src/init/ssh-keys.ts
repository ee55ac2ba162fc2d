import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isErrno, LktError } from '@lkt/core';

/** A public key of the user. */
export interface SshKey {
  /** Its place as shown to the user. */
  readonly from: string;
  /** File name in the workspace. */
  readonly file: string;
  /** The line for authorized_keys. */
  readonly line: string;
}

/** Names of ssh-keygen's public keys, in order of preference. */
const NAMES: readonly string[] = [
  'id_ed25519.pub',
  'id_ed25519_sk.pub',
  'id_ecdsa.pub',
  'id_rsa.pub',
];

/** A line of authorized_keys without options: type, base64 and a comment (sshd(8)). */
const KEY_LINE = /^(?:ssh-|ecdsa-|sk-)[\w@.-]+ [A-Za-z0-9+/=]+(?: [^\r\n]*)?$/;

const AGENT_TIMEOUT_MS = 5000;

/**
 * Finds the user's public key: the first in `~/.ssh`, else the first of the agent.
 * @param home the user's home directory
 */
export function findSshKey(
  home: string,
  env: Readonly<Record<string, string | undefined>>,
): SshKey | undefined {
  for (const name of NAMES) {
    const line = keyIn(join(home, '.ssh', name));
    if (line !== undefined) return { from: `~/.ssh/${name}`, file: 'login.pub', line };
  }
  if (env['SSH_AUTH_SOCK'] === undefined) return undefined;
  const { stdout } = spawnSync('ssh-add', ['-L'], {
    env,
    encoding: 'utf8',
    timeout: AGENT_TIMEOUT_MS,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const line = (stdout ?? '').split('\n').find((one) => KEY_LINE.test(one));
  return line === undefined ? undefined : { from: 'the ssh agent', file: 'login.pub', line };
}

/**
 * Reads the public key that the user names.
 * @throws NOT_FOUND, CONFIG_INVALID
 */
export function readSshKey(path: string, shown: string): SshKey {
  let line: string | undefined;
  try {
    line = keyIn(path);
  } catch (cause) {
    throw new LktError('IO_FAILED', `cannot read ${shown}`, { cause });
  }
  if (line === undefined)
    throw new LktError('NOT_FOUND', `${shown} is not a public key of ssh`, {
      fix: 'name a file such as ~/.ssh/id_ed25519.pub',
    });
  return { from: shown, file: 'login.pub', line };
}

function keyIn(path: string): string | undefined {
  try {
    const line = readFileSync(path, 'utf8').trim();
    return KEY_LINE.test(line) ? line : undefined;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES')) return undefined;
    throw error;
  }
}
