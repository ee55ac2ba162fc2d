import { LktError } from '@lkt/core';
import { readArchive } from '../../src/add/archive.ts';

// For add-archive.integration.test.ts: says in a process of its own why an archive cannot be read.
const [, , path = ''] = process.argv;
try {
  for await (const chunk of readArchive(path)) void chunk;
} catch (error) {
  if (!(error instanceof LktError)) throw error;
  process.stdout.write(`${error.code} ${error.message}: ${error.fix ?? ''}\n`);
}
