import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** The address of a server. */
export interface ServerAddress {
  readonly address: string;
  readonly hostPort: number;
}

const ANSWER_MS = 3000;
const POLL_MS = 500;

/** Resolves to true when an ssh server answers at the address, to false when `signal` aborts. */
export async function sshAnswers(server: ServerAddress, signal: AbortSignal): Promise<boolean> {
  while (!signal.aborted) {
    if (await isSsh(server, signal)) return true;
    await sleep(POLL_MS, undefined, { signal }).catch(() => undefined);
  }
  return false;
}

/** Reports whether a server sends the identification of ssh (RFC 4253, section 4.2). */
async function isSsh({ address, hostPort }: ServerAddress, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port: hostPort, host: address, signal });
    const done = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(ANSWER_MS, () => done(false));
    socket.on('error', () => done(false));
    socket.on('close', () => done(false));
    socket.on('data', (data) => done(data.toString('latin1').startsWith('SSH-')));
  });
}

/** A log line of lkt/sshd on the console: the log's name, which only logd writes, comes first. */
const ANNOUNCEMENT = /^[\w.-]+: sshd: host key (SHA256:[A-Za-z0-9+/]{43})\r?$/gm;

/**
 * Returns the fingerprint of the host key that lkt/sshd announced on the console; undefined without
 * an announcement, or if there are several keys.
 */
export function announcedHostKey(console: string): string | undefined {
  const found = new Set([...console.matchAll(ANNOUNCEMENT)].map(([, key]) => key));
  return found.size === 1 ? [...found][0] : undefined;
}

/**
 * Returns the line of known_hosts for the key with this fingerprint, from the output of
 * ssh-keyscan; undefined if no key has it.
 * @param alias the host in the line
 */
export function knownHost(scanned: string, fingerprint: string, alias: string): string | undefined {
  for (const line of scanned.split('\n')) {
    const [, type = '', key = ''] = /^\S+ ([\w@.-]+) ([A-Za-z0-9+/]+=*)$/.exec(line.trim()) ?? [];
    if (key !== '' && fingerprintOf(key) === fingerprint) return `${alias} ${type} ${key}\n`;
  }
  return undefined;
}

/** Returns the fingerprint of a public key in base64, as ssh-keygen prints it. */
function fingerprintOf(key: string): string {
  const hash = createHash('sha256').update(Buffer.from(key, 'base64')).digest('base64');
  return `SHA256:${hash.replace(/=+$/, '')}`;
}
