import type { Reporter } from '@lkt/core';
import type { OpenOptions, Store } from '@lkt/oci';
import type { SealedFiles } from '@lkt/oci/files';
import type { Environment } from './environment.ts';

/** The environment of a running command. */
export interface Session {
  readonly environment: Environment;
  /** The store directory; not created before a command opens the store to write. */
  readonly cacheDir: string;
  /** Key of the store, from outside the store. */
  readonly storeKey: () => string;
  /** Sealed files of the store, for a command that may end before it opens the store. */
  readonly sealed: SealedFiles;
  openStore(options?: Pick<OpenOptions, 'ignored'>): Promise<Store>;
  /** Opens the store if it exists. */
  findStore(): Promise<Store | undefined>;
  readonly reporter: Reporter;
  /** Reports whether a warning was printed. */
  hasWarned(): boolean;
  readonly signal: AbortSignal;
}
