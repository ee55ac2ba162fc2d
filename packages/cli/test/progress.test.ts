import type { ProgressEvent } from '@lkt/core';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Display } from '../src/progress/display.ts';
import { jsonDisplay } from '../src/progress/json.ts';
import { plainDisplay } from '../src/progress/plain.ts';
import { quietDisplay } from '../src/progress/quiet.ts';
import { ttyDisplay } from '../src/progress/tty.ts';
import { Terminal } from './terminal.ts';

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubEnv('NO_COLOR', '1');
});
afterEach(() => {
  vi.useRealTimers();
});

const clock = (): number => Date.now();

function run(display: Display, events: readonly (ProgressEvent | number)[]): void {
  for (const event of events) {
    if (typeof event === 'number') vi.advanceTimersByTime(event);
    else display.emit(event);
  }
}

const build: readonly (ProgressEvent | number)[] = [
  { kind: 'start', id: 'init', title: 'init' },
  { kind: 'done', id: 'init', cached: true },
  { kind: 'start', id: 'sshd', title: 'sshd' },
  { kind: 'start', id: 'sshd:1', title: 'RUN make' },
  { kind: 'log', id: 'sshd:1', text: 'cc \u001b[31mma' },
  { kind: 'log', id: 'sshd:1', text: 'in.c\u001b[0m\r\ncc 10%\rcc 90%\nno end' },
  2500,
  { kind: 'progress', id: 'sshd', current: 12_400_000, total: 31_000_000, unit: 'bytes' },
];

test('plain: a line for every change, each with its step', () => {
  const screen = new Terminal(200, 24);
  const display = plainDisplay(screen, clock);
  run(display, build);
  run(display, [
    5000,
    { kind: 'progress', id: 'sshd', current: 31_000_000, total: 31_000_000, unit: 'bytes' },
    { kind: 'warning', text: 'the clock is wrong' },
    { kind: 'done', id: 'sshd:1', cached: false },
    { kind: 'failed', id: 'sshd' },
  ]);
  display.close(true);
  expect(screen.text).toBe(
    [
      'init: cached',
      'sshd:1: RUN make',
      'sshd:1: | cc main.c',
      'sshd:1: | cc 90%',
      'sshd: started',
      'sshd: 31/31 MB',
      'warning: the clock is wrong',
      'sshd:1: | no end',
      'sshd:1: done 7.5s',
      'sshd: failed after 7.5s',
    ].join('\n'),
  );
});

test('tty: what runs is at the bottom with its log, what has ended is above', () => {
  const screen = new Terminal(60, 24);
  const display = ttyDisplay(screen, clock);
  run(display, build);
  vi.advanceTimersByTime(200);
  expect(screen.text).toBe(
    [
      '  init                                     cached',
      '  sshd                                     12/31 MB    2.6s',
      '  RUN make                                             2.6s',
      '    cc main.c',
      '    cc 90%',
    ].join('\n'),
  );
  expect(screen.cursor).toBe(false);
  run(display, [
    { kind: 'done', id: 'sshd:1', cached: false },
    { kind: 'done', id: 'sshd', cached: false },
  ]);
  display.close(false);
  expect(screen.text).toBe(
    [
      '  init                                     cached',
      '  RUN make                                             2.7s',
      '  sshd                                                 2.7s',
    ].join('\n'),
  );
  expect(screen.cursor).toBe(true);
});

test('tty: the log of what failed is shown again at the end', () => {
  const screen = new Terminal(60, 24);
  const display = ttyDisplay(screen, clock);
  run(display, [...build, { kind: 'failed', id: 'sshd:1' }, { kind: 'failed', id: 'sshd' }]);
  display.close(true);
  expect(screen.text).toContain(
    'RUN make failed, after saying:\n  | cc main.c\n  | cc 90%\n  | no end',
  );
  expect(screen.cursor).toBe(true);
});

test('tty: a thousand events in a second are drawn ten times, in the room there is', () => {
  const screen = new Terminal(30, 8);
  const display = ttyDisplay(screen, clock);
  const log = `${'x'.repeat(500)}\n`;
  for (let i = 0; i < 1000; i += 1) {
    display.emit({ kind: 'log', id: `step ${i % 20} with a long name`, text: log });
    vi.advanceTimersByTime(1);
  }
  expect(screen.writes).toBeLessThanOrEqual(11);
  expect(screen.text.split('\n').length).toBeLessThanOrEqual(6);
  display.close(false);
});

test('tty: without steps nothing is written, so that a console may be there', () => {
  const screen = new Terminal(30, 8);
  const display = ttyDisplay(screen, clock);
  vi.advanceTimersByTime(5000);
  display.close(false);
  expect(screen.writes).toBe(0);
});

test('json: the events, each on its line', () => {
  const lines: string[] = [];
  const display = jsonDisplay({ write: (text) => lines.push(text) }, clock);
  run(display, build);
  expect(
    lines
      .join('')
      .trimEnd()
      .split('\n')
      .map((line): unknown => JSON.parse(line))
      .at(-1),
  ).toEqual({
    seconds: 2.5,
    kind: 'progress',
    id: 'sshd',
    current: 12_400_000,
    total: 31_000_000,
    unit: 'bytes',
  });
});

test('quiet: nothing but the log of what failed', () => {
  const screen = new Terminal(200, 24);
  const display = quietDisplay(screen);
  run(display, build);
  expect(screen.text).toBe('');
  run(display, [{ kind: 'failed', id: 'sshd:1' }]);
  display.close(true);
  expect(screen.text).toBe('RUN make failed, after saying:\n  | cc main.c\n  | cc 90%\n  | no end');
});
