import { execFileSync } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { planVerity, verityCmdline } from '../src/verity/verity.ts';
import { noise, writeHeaded } from './file-systems.ts';
import { tempDir } from './support.ts';

const BLOCK_SIZE = 4096;

/** Writes an image of `blocks` blocks with its tree, in chunks of odd length; the head is last. */
async function verified(blocks: number): Promise<{ path: string; hash: string; table: string }> {
  const data = noise(blocks * BLOCK_SIZE, 'data');
  const image = planVerity({
    bytes: async function* () {
      yield Buffer.alloc(BLOCK_SIZE);
      for (let at = BLOCK_SIZE; at < data.length; at += 70_001)
        yield data.subarray(at, at + 70_001);
    },
    head: () => [data.subarray(0, 1000), data.subarray(1000, BLOCK_SIZE)],
  });
  const path = join(tempDir(), 'x.img');
  await writeHeaded(path, image);
  const root = image.root();
  if (root === undefined) throw new Error('no root');
  expect(root.blocks).toBe(blocks);
  expect(readFileSync(path).subarray(0, data.length).equals(data)).toBe(true);
  return { path, hash: root.hash, table: verityCmdline(root, '/dev/vda') };
}

function verify(path: string, hash: string, blocks: number): string {
  const args = ['verify', path, path, hash, `--hash-offset=${blocks * BLOCK_SIZE}`];
  return execFileSync('veritysetup', args, { encoding: 'utf8', stdio: 'pipe' });
}

// Trees of one, two and three levels.
it.for([2, 128, 129, 300, 16_385])('veritysetup verifies %i blocks', async (blocks) => {
  const { path, hash, table } = await verified(blocks);
  verify(path, hash, blocks);
  expect(table).toBe(
    `dm-mod.create="root,,,ro,0 ${blocks * 8} verity 1 /dev/vda /dev/vda 4096 4096 ${blocks} ${blocks + 1} sha256 ${hash} - 1 panic_on_corruption"`,
  );
  const offset = `--hash-offset=${blocks * BLOCK_SIZE}`;
  const other = execFileSync(
    'veritysetup',
    ['format', '--salt=-', `--data-blocks=${blocks}`, offset, path, path],
    { encoding: 'utf8' },
  );
  expect(other).toContain(hash);
});

it('veritysetup detects any changed byte', async () => {
  const { path, hash } = await verified(300);
  const bytes = readFileSync(path);
  const size = statSync(path).size;
  // In the first block, a later one, the root of the tree, and its leaves.
  for (const at of [0, 150 * BLOCK_SIZE + 17, 301 * BLOCK_SIZE, size - BLOCK_SIZE]) {
    const damaged = Buffer.from(bytes);
    damaged[at] = (damaged[at] ?? 0) ^ 1;
    writeFileSync(path, damaged);
    expect(() => verify(path, hash, 300)).toThrow('Verification of');
  }
});
