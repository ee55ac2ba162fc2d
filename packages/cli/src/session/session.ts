import type { Reporter } from '@lkt/core';
import type { Store } from '@lkt/oci';
import type { Environment } from './environment.ts';

/** The environment of a running command. */
export interface Session {
  readonly environment: Environment;
  /** The store directory; not created before a command opens the store to write. */
  readonly cacheDir: string;
  openStore(): Promise<Store>;
  /** Opens the store if it exists. */
  findStore(): Promise<Store | undefined>;
  readonly reporter: Reporter;
  /** Reports whether a warning was printed. */
  hasWarned(): boolean;
  readonly signal: AbortSignal;
}
