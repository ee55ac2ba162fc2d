import type { ProgressEvent } from '@lkt/core';
import { expect, test } from 'vitest';
import { stepReporter } from '../src/build/step-reporter.ts';

function reported(platform: string | undefined, ...events: readonly ProgressEvent[]): unknown {
  const seen: ProgressEvent[] = [];
  const reporter = stepReporter({ emit: (event) => seen.push(event) }, 'lkt/x', platform);
  for (const event of events) reporter.emit(event);
  return seen;
}

test('makes events of an image substeps of its package', () => {
  const warning = { kind: 'warning', text: 'lkt/x:' } as const;
  expect(
    reported(
      undefined,
      { kind: 'start', id: 'lkt/x:one/1', title: '[one 1/2] RUN true' },
      { kind: 'start', id: 'unpack trixie amd64', title: 'unpack 2 Debian packages' },
      warning,
    ),
  ).toEqual([
    { kind: 'start', id: 'lkt/x:one/1', title: '[one 1/2] RUN true' },
    { kind: 'start', id: 'lkt/x:unpack trixie amd64', title: 'unpack 2 Debian packages' },
    warning,
  ]);
});

test('adds the platform if there are several', () => {
  expect(
    reported(
      'linux/arm64',
      { kind: 'start', id: 'lkt/x:one/1', title: '[one 1/2] RUN true' },
      { kind: 'done', id: 'lkt/x:one/1', cached: false },
    ),
  ).toEqual([
    { kind: 'start', id: 'lkt/x:linux/arm64 one/1', title: 'linux/arm64 [one 1/2] RUN true' },
    { kind: 'done', id: 'lkt/x:linux/arm64 one/1', cached: false },
  ]);
});
