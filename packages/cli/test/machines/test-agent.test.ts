import { duplexPair } from 'node:stream';
import { expect, test } from 'vitest';
import { TestAgent, testAgentConfig } from '../../src/machines/test-agent.ts';

const check = { kind: 'exec', service: 'web', command: ['/a', 'b c'], status: 0 } as const;
const { signal } = new AbortController();

/** An agent, and the machine's end of its port, which answers each request with a text. */
function agent(answer: (id: number, request: string) => string): TestAgent {
  const [here, there] = duplexPair();
  there.setEncoding('utf8').on('data', (line: string) => {
    const { id } = JSON.parse(line) as { readonly id: number };
    there.write(answer(id, line));
  });
  const made = new TestAgent(here);
  there.write('noise\nlkt-test-');
  there.write('agent 1\n');
  return made;
}

const answered = (result: object): TestAgent =>
  agent((id) => `${JSON.stringify({ id, status: 0, stdout: '', stderr: '', ...result })}\n`);

test('sends a line, and returns the answer with its number', async () => {
  const lines: string[] = [];
  const made = agent((id, line) => {
    lines.push(line);
    const result = { status: 0, stdout: 'PONG\n', stderr: '' };
    return `null\n{"id":${id - 1},"status":9,"stdout":"","stderr":""}\nnoise\n${JSON.stringify({ id, ...result })}\n`;
  });
  const matches = /^PONG$/mu;
  expect(await made.check({ ...check, matches }, 5, signal)).toBeUndefined();
  expect(await made.check({ ...check, matches }, 5, signal)).toBeUndefined();
  expect(lines).toEqual([
    '{"id":1,"service":"web","command":["/a","b c"],"seconds":5}\n',
    '{"id":2,"service":"web","command":["/a","b c"],"seconds":5}\n',
  ]);
});

test.each([
  [{ status: 3 }, 'it ended with 3, not 0'],
  [{ status: 3, stdout: 'out', stderr: 'no\u001b[2J way\n' }, 'it ended with 3, not 0: "no way"'],
  [{ status: 3, stdout: 'x'.repeat(201) }, `it ended with 3, not 0: "${'x'.repeat(200)}"…`],
  [{ stdout: 'a' }, 'its output does not match ^b: "a"'],
  [{ error: '/a did not end within 5 s' }, 'it did not run: "/a did not end within 5 s"'],
])('fails with the difference: %j', async (result, reason) => {
  expect(await answered(result).check({ ...check, matches: /^b/u }, 5, signal)).toBe(reason);
});

test('passes with the wanted status', async () => {
  expect(await answered({ status: 3 }).check({ ...check, status: 3 }, 5, signal)).toBeUndefined();
});

test('ends with its time limit, before the agent is there and after', async () => {
  const stop = new AbortController();
  const [here] = duplexPair();
  const silent = new TestAgent(here).check(check, 5, stop.signal);
  const late = agent(() => 'nothing\n').check(check, 5, stop.signal);
  stop.abort();
  for (const one of [silent, late]) expect(await one).toBe('the agent of lkt test does not answer');
});

test('adds one service, by digest', () => {
  expect(testAgentConfig()).toMatch(
    /^services:\n {2}- name: lkt-test-agent\n {4}image: lkt\/test-agent:[0-9a-f]{40}@sha256:[0-9a-f]{64}\n$/m,
  );
});
