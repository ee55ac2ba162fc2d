import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { isErrno, LktError } from '@lkt/core';

/** Reports whether a program starts and exits with status 0. */
export async function programExists(command: string, args: readonly string[]): Promise<boolean> {
  const { code } = await run(command, args).catch(() => ({ code: -1 }));
  return code === 0;
}

/**
 * Runs a program and returns its exit code and output, up to 1 MiB each. Rejects only if the
 * program cannot start.
 */
export async function run(
  command: string,
  args: readonly string[],
): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = execFile(command, args, { maxBuffer: 2 ** 20 }, (error, stdout, stderr) => {
      if (child.pid === undefined) reject(error);
      else resolve({ code: child.exitCode ?? -1, stdout, stderr });
    });
    child.stdin?.end();
  });
}

/**
 * Pipes `source` through a program and returns its output. Kills the program if the reader stops
 * early.
 * @throws ARCHIVE_INVALID if the program fails; TOOL_MISSING if it cannot start; the error of
 * `source`
 */
export async function* pipeThrough(
  command: string,
  args: readonly string[],
  source: AsyncIterable<Uint8Array>,
  what: string,
): AsyncGenerator<Uint8Array> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const ended = once(child, 'close');
  const complaint = text(child.stderr, 4096);
  const fed = pipeline(Readable.from(source), child.stdin);
  const settled = Promise.allSettled([ended, fed, complaint]);
  let finished = false;
  try {
    for await (const chunk of child.stdout) yield chunk as Uint8Array;
    finished = true;
  } finally {
    if (!finished) {
      child.kill('SIGKILL');
      child.stdin.destroy();
      await settled;
    }
  }
  const [exit, feed, stderr] = await settled;
  // A program that exits early breaks the pipe; its exit status has the reason.
  if (feed.status === 'rejected' && !isErrno(feed.reason, 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE'))
    throw feed.reason;
  if (exit.status === 'rejected')
    throw new LktError('TOOL_MISSING', `${command} cannot be started`, { cause: exit.reason });
  const [status] = exit.value as [number | null];
  if (status !== 0 || feed.status === 'rejected') {
    const said = stderr.status === 'fulfilled' ? stderr.value.trim() : '';
    throw new LktError('ARCHIVE_INVALID', `${what} cannot be unpacked`, {
      cause: new Error(said === '' ? `${command} ended with status ${status ?? 'unknown'}` : said),
    });
  }
}

async function text(stream: Readable, limit: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    const part = (chunk as Uint8Array).subarray(0, limit - size);
    size += part.length;
    if (part.length > 0) chunks.push(part);
  }
  return Buffer.concat(chunks).toString();
}
