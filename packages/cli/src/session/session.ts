import type { Reporter } from '@lkt/core';
import type { Store } from '@lkt/oci';
import type { Environment } from './environment.ts';

/** What a command needs to do its work. */
export interface Session {
  readonly environment: Environment;
  /** The directory of the store; nothing is made there before a command opens the store to write. */
  readonly cacheDir: string;
  openStore(): Promise<Store>;
  /** The store if there is one. */
  findStore(): Promise<Store | undefined>;
  readonly reporter: Reporter;
  /** Reports whether a warning was printed. */
  hasWarned(): boolean;
  readonly signal: AbortSignal;
}
