import { LktError } from '@lkt/core';
import { readArchive } from '../../src/add/archive.ts';

// For add-archive.integration.test.ts: prints, in its own process, why an archive is unreadable.
const [, , path = ''] = process.argv;
try {
  for await (const chunk of readArchive(path)) void chunk;
} catch (error) {
  if (!(error instanceof LktError)) throw error;
  process.stdout.write(`${error.code} ${error.message}: ${error.fix ?? ''}\n`);
}
