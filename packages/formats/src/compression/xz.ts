// https://tukaani.org/xz/xz-file-format.txt; what the kernel reads: Documentation/staging/xz.rst
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { isErrno, LktError } from '@lkt/core';

/** Runs xz without the caller's default options, which would change the output. */
const XZ = ['-u', 'XZ_OPT', '-u', 'XZ_DEFAULTS', 'xz'];

/**
 * Returns the version of xz, on which its output may depend.
 * @throws TOOL_MISSING
 */
export async function xzVersion(): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)('env', [...XZ, '--version']);
    return /\d+(?:\.\d+)+/.exec(stdout)?.[0] ?? stdout;
  } catch (error) {
    // env(1) exits with 127 for a missing program.
    const isMissing = error instanceof Error && 'code' in error && error.code === 127;
    if (!isMissing && !isErrno(error, 'ENOENT')) throw error;
    throw new LktError('TOOL_MISSING', 'xz is not installed, and --compressor xz needs it', {
      cause: error,
      fix: 'sudo apt-get install xz-utils, or use another --compressor',
    });
  }
}

/**
 * Compresses a stream with xz as the kernel requires: CRC32 check, one block, one thread.
 * @throws IO_FAILED if xz fails
 */
export async function* xz(
  source: AsyncIterable<Uint8Array>,
  level: number,
): AsyncGenerator<Uint8Array> {
  const options = ['--compress', '--stdout', '--check=crc32', '--threads=1'];
  const child = spawn('env', [...XZ, ...options, `--lzma2=preset=${level}`], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const { stdin, stdout } = child;
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(0, 500);
  });
  const ended = once(child, 'close');
  let failure: Error | undefined;
  const feeding = pipeline(source, stdin).catch((error: Error) => {
    failure = error;
  });
  try {
    for await (const chunk of stdout) yield chunk as Buffer;
    await feeding;
    await ended;
    if (failure !== undefined && !isErrno(failure, 'EPIPE')) throw failure;
    if (child.exitCode !== 0) throw failed(child, complaint);
  } finally {
    child.kill();
    stdin.destroy();
  }
}

function failed({ exitCode, signalCode }: ChildProcess, complaint: string): LktError {
  const how = signalCode === null ? `status ${String(exitCode)}` : signalCode;
  return new LktError('IO_FAILED', `xz failed with ${how}: ${complaint.trim()}`);
}
