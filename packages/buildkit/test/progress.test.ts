import { silentReporter } from '@lkt/core';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { BuildProgress } from '../src/progress.ts';
import type { VertexInfo } from '../src/vertex-names.ts';

const names = {
  describe: (vertex: string): VertexInfo => ({ id: vertex, title: vertex, step: undefined }),
};

test('separates messages of the program from progress', () => {
  const progress = new BuildProgress(names, silentReporter);
  for (const line of ['{', '  "vertexes": [', '  ]', '}', 'ERROR: no', '{"logs":[]}', '{"x'])
    progress.line(line);
  expect(progress.messages).toBe('ERROR: no');
  expect(progress.failed).toBeUndefined();
});

test('accepts any output of a program without an unexpected error', () => {
  const line = fc.oneof(
    fc.string(),
    fc.json(),
    fc
      .record({
        vertexes: fc.array(fc.record({ digest: fc.string(), name: fc.constant('[a 2/3] RUN x') })),
        statuses: fc.array(
          fc.record({ id: fc.string(), vertex: fc.string(), current: fc.float() }),
        ),
        logs: fc.array(fc.record({ vertex: fc.string(), data: fc.string() })),
      })
      .map((status) => JSON.stringify(status)),
    fc.constantFrom('{', '}', '{"vertexes":1}', '{"logs":[null]}', 'null'),
  );
  fc.assert(
    fc.property(fc.array(line), (lines) => {
      const progress = new BuildProgress(names, silentReporter);
      for (const text of lines) progress.line(text);
      progress.end(false);
    }),
  );
});
