import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './lkt.ts';

/** Bytes that the system has besides its init, half of them such that they cannot be compressed. */
const CONTENT = 8 * 2 ** 20;

/**
 * Writes the config of a system that is nothing but the kernel and init of examples/minimal.yml, for tests of how an image gets
 * into memory: under emulation a container runtime takes longer to unpack and to start than all else. Init says that the boot is
 * complete when it has found all that the image's manifest lists, whole.
 * @returns its path, in `dir`
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
