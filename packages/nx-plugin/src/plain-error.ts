import { LktError } from '@lkt/core';

/** Nx prints the stack of what a plugin throws, which says nothing to who made a mistake: this one has none. */
export class PlainError extends Error {
  constructor(message: string) {
    super(message);
    this.stack = message;
  }
}

/** @throws an error of lkt as one for Nx to show, any other as it is */
export function inPlainWords(error: unknown): never {
  if (!(error instanceof LktError)) throw error;
  const { message, fix } = error;
  throw new PlainError(fix === undefined ? message : `${message}\nfix: ${fix}`);
}
