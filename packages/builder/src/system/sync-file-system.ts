import { closeSync, openSync } from 'node:fs';
import type { KoffiFunc } from 'koffi';
import { library } from './c-library.ts';

const syncfsCall = library.func('syncfs', 'int', ['int']) as KoffiFunc<(file: number) => number>;

/**
 * Waits, without blocking this thread, until all data of a directory's file system is on disk
 * (syncfs(2)). Returns false if writing failed.
 */
export async function syncFileSystem(directory: string): Promise<boolean> {
  const file = openSync(directory, 'r');
  try {
    return await new Promise<boolean>((resolve, reject) => {
      syncfsCall.async(file, (error: Error | null, result) => {
        if (error === null) resolve(result === 0);
        else reject(error);
      });
    });
  } finally {
    closeSync(file);
  }
}
