import { closeSync, openSync } from 'node:fs';
import { asyncCall } from './c-library.ts';

const syncfsCall = asyncCall('syncfs', ['int']);

/**
 * Waits, without blocking this thread, until all data of a directory's file system is on disk
 * (syncfs(2)). Returns false if writing failed.
 */
export async function syncFileSystem(directory: string): Promise<boolean> {
  const file = openSync(directory, 'r');
  try {
    return (await syncfsCall(file)) === 0;
  } finally {
    closeSync(file);
  }
}
