import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { checkout } from './find.ts';

/** Has the bundle made for the next time, while nobody waits. Not in a checkout that is only to be read. */
export function makeBundleLater(): void {
  try {
    accessSync(new URL('node_modules/', checkout), constants.W_OK);
  } catch {
    return;
  }
  const script = fileURLToPath(new URL('make.ts', import.meta.url));
  const child = spawn(process.execPath, [script], { detached: true, stdio: 'ignore', cwd: '/' });
  child.on('error', () => undefined);
  child.unref();
}
