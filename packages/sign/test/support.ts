import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

export async function temporary(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'lkt-sign-'));
  onTestFinished(async () => rm(directory, { recursive: true }));
  return directory;
}
