import { rename, writeFile } from 'node:fs/promises';

/** Replaces a file by the JSON of a value, atomically. */
export async function writeJson(path: string, value: unknown): Promise<void> {
  const temporary = `${path}.${process.pid}`;
  await writeFile(temporary, `${JSON.stringify(value)}\n`);
  await rename(temporary, path);
}
