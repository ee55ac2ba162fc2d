import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ProgressEvent, type Reporter } from '@lkt/core';
import { openStore, type Store } from '@lkt/oci';
import { onTestFinished } from 'vitest';

/** Opens an empty store that other users may use too; it is removed after the test. */
export async function tempStore(): Promise<Store> {
  const dir = await mkdtemp(join(tmpdir(), 'lkt-store-'));
  onTestFinished(async () => rm(dir, { recursive: true }));
  await chmod(dir, 0o755);
  return openStore(join(dir, 'store'));
}

export async function* pieces(bytes: Uint8Array, size = 1000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

export async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(source));
}

/** Returns a reporter that records its events. */
export function recorder(): Reporter & { readonly events: readonly ProgressEvent[] } {
  const events: ProgressEvent[] = [];
  return {
    events,
    emit: (event) => {
      events.push(event);
    },
  };
}
