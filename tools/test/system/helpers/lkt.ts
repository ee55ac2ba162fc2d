import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

/** The checkout under test. */
export const root: string = join(import.meta.dirname, '../../../..');

export interface Done {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command whose memory was measured. */
export interface Measured extends Done {
  /**
   * Peak memory of one of lkt's Node processes in MiB, without the compilers that a build starts.
   */
  readonly peakMiB: number;
}

export interface Options {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Words before the command, such as `['setpriv', '--reuid', '12345']`. */
  readonly under?: readonly string[];
  /** The checkout whose `./lkt` runs. */
  readonly checkout?: string;
  readonly onStart?: (child: ChildProcess) => void;
}

/** Runs `./lkt` as a user does and returns its output. */
export async function lkt(args: readonly string[], options: Options = {}): Promise<Done> {
  const child = startLkt(args, options);
  const stdout = text(child.stdout);
  const stderr = text(child.stderr);
  options.onStart?.(child);
  const status = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  return { status, stdout: await stdout, stderr: await stderr };
}

/** Runs lkt and measures its memory, which takes some processor time. */
export async function measuredLkt(
  args: readonly string[],
  options: Options = {},
): Promise<Measured> {
  let peak = 0;
  let timer: NodeJS.Timeout | undefined;
  const onStart = (child: ChildProcess): void => {
    timer = setInterval(() => {
      peak = Math.max(peak, peakOf(child.pid ?? 0));
    }, 50);
  };
  try {
    const done = await lkt(args, { ...options, onStart });
    return { ...done, peakMiB: Math.round(peak / 1024) };
  } finally {
    clearInterval(timer);
  }
}

export function startLkt(args: readonly string[], options: Options = {}): ChildProcess {
  const {
    PATH = '',
    HOME = '/',
    LKT_CACHE,
    LKT_STORE_KEY,
    http_proxy,
    LKT_DEBIAN_MIRROR,
  } = process.env;
  // A test's own home has no store: use the user's, which has the kernel, with its key.
  const { XDG_CACHE_HOME = join(HOME, '.cache'), XDG_STATE_HOME = join(HOME, '.local/state') } =
    process.env;
  const store = { LKT_CACHE, LKT_STORE_KEY, XDG_CACHE_HOME, XDG_STATE_HOME };
  const inherited = { ...store, http_proxy, LKT_DEBIAN_MIRROR };
  const set = Object.entries(inherited).filter(([, value]) => value !== undefined);
  const env = { PATH, HOME, NO_COLOR: '1', ...Object.fromEntries(set), ...options.env };
  const words = [...(options.under ?? []), join(options.checkout ?? root, 'lkt'), ...args];
  const [file = '', ...rest] = words;
  return spawn(file, rest, { cwd: options.cwd ?? root, env, stdio: ['pipe', 'pipe', 'pipe'] });
}

async function text(stream: NodeJS.ReadableStream | null): Promise<string> {
  let all = '';
  if (stream === null) return all;
  stream.setEncoding('utf8');
  for await (const chunk of stream) all += chunk;
  return all;
}

/** Returns the highest VmHWM of the Node processes below `pid`, in KiB. */
function peakOf(pid: number): number {
  let peak = 0;
  for (const process of descendants(pid)) {
    try {
      const command = readFileSync(`/proc/${process}/cmdline`, 'utf8').split('\0');
      if (!command.some((word) => /\/(?:dist|packages)\//.test(word))) continue;
      const line = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${process}/status`, 'utf8'));
      peak = Math.max(peak, Number(line?.[1] ?? 0));
    } catch {
      // the process has ended
    }
  }
  return peak;
}

/** Returns `pid` and its descendants. */
export function descendants(pid: number): number[] {
  const parents = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      parents.set(parent, [...(parents.get(parent) ?? []), Number(name)]);
    } catch {
      // the process has ended
    }
  }
  const found = [pid];
  for (let i = 0; i < found.length; i += 1) found.push(...(parents.get(found[i] ?? 0) ?? []));
  return found;
}

/** Returns a free TCP port of the loopback interface. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}
