import { writeSync } from 'node:fs';
import { isErrno } from '@lkt/core';

/**
 * Has `lkt … | head`, which closes the pipe early, be no failure of lkt's. The streams are still made when they are first
 * asked for: a command that says one line, by `print`, does without, and each of them loads a good part of Node.
 */
export function endWithReaders(): void {
  for (const name of ['stdout', 'stderr'] as const) {
    const made = Object.getOwnPropertyDescriptor(process, name);
    if (made?.get === undefined) throw new Error(`process.${name} is not what it was`);
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

/** Writes to standard output, at once. */
export function print(text: string): void {
  let rest = Buffer.from(text);
  try {
    while (rest.length > 0) rest = rest.subarray(writeSync(1, rest));
  } catch (error) {
    if (isErrno(error, 'EPIPE')) process.exit(0);
    // Whoever reads is slow, and whoever gave the pipe would not wait: the stream does.
    if (!isErrno(error, 'EAGAIN')) throw error;
    process.stdout.write(rest);
  }
}

function endOnError(error: NodeJS.ErrnoException): void {
  process.exit(error.code === 'EPIPE' ? 0 : 1);
}
