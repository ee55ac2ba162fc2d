import { LktError } from '@lkt/core';

/**
 * An error without stack. Nx prints the stack of a plugin's errors, which does not help a user to
 * correct a mistake.
 */
export class PlainError extends Error {
  constructor(message: string) {
    super(message);
    this.stack = message;
  }
}

/**
 * Throws an LktError as a PlainError with its fix, and other errors unchanged.
 * @throws PlainError
 */
export function rethrowPlain(error: unknown): never {
  if (!(error instanceof LktError)) throw error;
  const { message, fix } = error;
  throw new PlainError(fix === undefined ? message : `${message}\nfix: ${fix}`);
}
