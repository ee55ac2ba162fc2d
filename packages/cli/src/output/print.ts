import { writeSync } from 'node:fs';
import { isErrno } from '@lkt/core';

/**
 * Makes a closed pipe, as in `lkt … | head`, not a failure. Keeps the streams lazy: `print` does
 * without them, and each loads a large part of Node.
 */
export function exitOnClosedPipe(): void {
  for (const name of ['stdout', 'stderr'] as const) {
    const made = Object.getOwnPropertyDescriptor(process, name);
    if (made?.get === undefined) throw new Error(`process.${name} was replaced`);
    Object.defineProperty(process, name, {
      configurable: true,
      enumerable: true,
      get(): NodeJS.WriteStream {
        const stream = made.get?.call(process) as NodeJS.WriteStream;
        if (!stream.listeners('error').includes(endOnError)) stream.on('error', endOnError);
        return stream;
      },
    });
  }
}

/** Writes to standard output synchronously. */
export function print(text: string): void {
  let rest = Buffer.from(text);
  try {
    while (rest.length > 0) rest = rest.subarray(writeSync(1, rest));
  } catch (error) {
    if (isErrno(error, 'EPIPE')) process.exit(0);
    // The pipe is non-blocking and full: the stream waits for the reader.
    if (!isErrno(error, 'EAGAIN')) throw error;
    process.stdout.write(rest);
  }
}

function endOnError(error: NodeJS.ErrnoException): void {
  process.exit(error.code === 'EPIPE' ? 0 : 1);
}
