import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { withGeneration } from '../../src/providers/generation.ts';

const options = { generation: 1, signal: new AbortController().signal };

test('a change of a controller that is stopped makes the provider unavailable', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-generation-'));
  const { promise: ended, resolve: end } = Promise.withResolvers<undefined>();
  const first = withGeneration(dir.path, options, () => ended);
  const second = withGeneration(dir.path, options, async () => undefined, 50);
  await expect(second).rejects.toMatchObject({
    failure: 'unavailable',
    message: `another controller is changing ${dir.path}`,
  });
  end(undefined);
  await first;
  await withGeneration(dir.path, options, async () => undefined, 50);
});

test('a change of an older generation is refused', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-generation-'));
  await withGeneration(dir.path, { ...options, generation: 2 }, async () => undefined);
  await expect(withGeneration(dir.path, options, async () => undefined)).rejects.toMatchObject({
    failure: 'fenced',
  });
});
