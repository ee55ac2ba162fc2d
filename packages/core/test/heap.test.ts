import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

test('what is compiled counts again when the process ends', () => {
  const source = fileURLToPath(new URL('../src/heap.ts', import.meta.url));
  const script = `
    import { cachedDataVersionTag } from 'node:v8';
    import { countExternalMemory, growHeapSlowly } from ${JSON.stringify(source)};
    const tags = [cachedDataVersionTag()];
    growHeapSlowly();
    countExternalMemory();
    tags.push(cachedDataVersionTag());
    process.on('exit', () => console.log(JSON.stringify([...tags, cachedDataVersionTag()])));
  `;
  const flags = ['--max-semi-space-size=1', '--input-type=module', '--eval', script];
  const said = execFileSync(process.execPath, flags, { encoding: 'utf8' });
  const [before, meanwhile, after] = JSON.parse(said) as readonly number[];
  expect(meanwhile).not.toBe(before);
  expect(after).toBe(before);
  const plain = ['--print', `require('node:v8').cachedDataVersionTag()`];
  expect(before).toBe(Number(execFileSync(process.execPath, plain, { encoding: 'utf8' })));
});
