import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './lkt.ts';

/** Size of the system without its init in bytes; half of it is incompressible. */
const CONTENT = 8 * 2 ** 20;

/**
 * Writes a config with only the kernel and init of examples/minimal.yml, and returns its path in
 * `dir`. For tests of how an image is loaded: under emulation, unpacking and starting a container
 * runtime takes longer than the rest. Init reports a complete boot once every file of the image's
 * manifest is found intact.
 */
export function writeInitOnly(dir: string): string {
  const lines = readFileSync(join(root, 'examples/minimal.yml'), 'utf8').split('\n');
  const kernel = lines.slice(lines.indexOf('kernel:'), lines.indexOf('init:'));
  const init = lines.filter((line) => line.startsWith('  - lkt/init:'));
  writeFileSync(
    join(dir, 'content'),
    Buffer.concat([
      randomBytes(CONTENT / 2),
      Buffer.alloc(CONTENT / 2, 'what programs have, too '),
    ]),
  );
  const config = join(dir, 'init-only.yml');
  const files = ['files:', '  - {path: etc/content, source: content}', ''];
  writeFileSync(config, [...kernel, 'init:', ...init, ...files].join('\n'));
  return config;
}
