import { spawn } from 'node:child_process';
import { expect, test } from 'vitest';

/** A process that ends in order 1.5 s after the first signal, or as told after the second. */
const script = `
  const { abortOnInterrupt } = await import(${JSON.stringify(import.meta.resolve('../src/interrupt.ts'))});
  const signal = abortOnInterrupt(() => console.log('second'));
  const alive = setInterval(() => undefined, 1000);
  signal.addEventListener('abort', () => {
    console.log(signal.reason.code);
    setTimeout(() => { clearInterval(alive); console.log('in order'); process.exit(3); }, 1500);
  });
  console.log('ready');`;

async function run(signals: number): Promise<{ output: string; code: number | null }> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script]);
  let output = '';
  let sent = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
    if (sent < signals) child.kill('SIGINT');
    sent += 1;
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { output, code };
}

test('the first Ctrl-C lets work end in order', async () => {
  expect(await run(1)).toEqual({ output: 'ready\nINTERRUPTED\nin order\n', code: 3 });
});

test('the second ends the process at once', async () => {
  expect(await run(2)).toEqual({ output: 'ready\nINTERRUPTED\nsecond\n', code: 130 });
});
