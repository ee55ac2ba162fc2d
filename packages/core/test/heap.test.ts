import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { collectChunks } from '../src/heap.ts';

test('flags are restored when the process exits', () => {
  const source = fileURLToPath(new URL('../src/heap.ts', import.meta.url));
  const script = `
    import { cachedDataVersionTag } from 'node:v8';
    import { collectChunks, growHeapSlowly } from ${JSON.stringify(source)};
    const tags = [cachedDataVersionTag()];
    collectChunks(2 ** 30);
    tags.push(cachedDataVersionTag());
    growHeapSlowly();
    tags.push(cachedDataVersionTag());
    process.on('exit', () => console.log(JSON.stringify([...tags, cachedDataVersionTag()])));
  `;
  const flags = ['--max-semi-space-size=1', '--input-type=module', '--eval', script];
  const said = execFileSync(process.execPath, flags, { encoding: 'utf8' });
  const [before, collected, meanwhile, after] = JSON.parse(said) as readonly number[];
  expect(collected).toBe(before);
  expect(meanwhile).not.toBe(before);
  expect(after).toBe(before);
  const plain = ['--print', `require('node:v8').cachedDataVersionTag()`];
  expect(before).toBe(Number(execFileSync(process.execPath, plain, { encoding: 'utf8' })));
});

const held = (): number => process.memoryUsage().arrayBuffers;

test('collectChunks frees consumed chunks', () => {
  const chunk = 2 ** 20;
  const before = held();
  for (let made = 0; made < 128; made += 1) collectChunks(Buffer.allocUnsafeSlow(chunk).length);
  expect(held()).toBeLessThan(before + 16 * chunk);
});
