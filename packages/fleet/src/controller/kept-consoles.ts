import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { namesIn } from '@lkt/oci/files';
import type { Node } from '../node.ts';

/** Maximum number of kept consoles per group. */
const MAX_CONSOLES = 20;

/**
 * Writes the console of a node into a directory, and returns the file. Keeps only the newest, so
 * that repeated failures do not fill the disk.
 */
export async function keepConsole(
  dir: string,
  { name, labels }: Node,
  bytes: Uint8Array,
): Promise<string> {
  const path = join(dir, `${name}-${labels.created}.log`);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await writeFile(path, bytes, { mode: 0o600 });
  const kept = namesIn(dir).filter((file) => createdOf(file) !== undefined);
  const byAge = kept.toSorted((a, b) => (createdOf(b) ?? 0) - (createdOf(a) ?? 0));
  for (const file of byAge.slice(MAX_CONSOLES)) await rm(join(dir, file), { force: true });
  return path;
}

/** Returns when the node of a file was created; undefined for a file of others. */
function createdOf(file: string): number | undefined {
  const [, created] = /-(\d+)\.log$/.exec(file) ?? [];
  return created === undefined ? undefined : Number(created);
}
