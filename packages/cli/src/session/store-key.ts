import { randomBytes } from 'node:crypto';
import { LktError, type Reporter } from '@lkt/core';
import { type KeySource, loadStoreKey } from '@lkt/oci/files';
import type { Environment } from './environment.ts';

/**
 * Returns the source of the store's key. Where none can be kept, it warns and returns a key of this
 * process, so everything is derived again.
 */
export function createStoreKey(environment: Environment, reporter: Reporter): KeySource {
  let key: string | undefined;
  const load = (): string => {
    try {
      return loadStoreKey(environment);
    } catch (error) {
      if (!(error instanceof LktError) || error.code === 'CONFIG_INVALID') throw error;
      const text = `no cached result of an earlier command is used: ${error.message}; ${error.fix}`;
      reporter.emit({ kind: 'warning', text });
      return randomBytes(32).toString('hex');
    }
  };
  return () => (key ??= load());
}
