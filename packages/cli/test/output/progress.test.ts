import { mkdtempDisposable, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ProgressEvent } from '@lkt/core';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Display } from '../../src/progress/display.ts';
import { Durations } from '../../src/progress/durations.ts';
import { describeLog, KeptLogs } from '../../src/progress/kept-logs.ts';
import { openDisplay } from '../../src/progress/open.ts';
import { plainDisplay } from '../../src/progress/plain.ts';
import { ttyDisplay } from '../../src/progress/tty.ts';
import { cut, widthOf } from '../../src/progress/width.ts';
import { Terminal } from '../terminal.ts';

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

test('plain: prints a line for every change, with its step', () => {
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
      'sshd:1: RUN make',
      'sshd:1: | cc main.c',
      'sshd:1: | cc 90%',
      'sshd: started',
      'sshd: 31/31 MB',
      'warning: the clock is wrong',
      'sshd:1: | no end',
      'sshd:1: done 7.5s',
      'sshd: failed after 7.5s',
      'cached: 1 step',
    ].join('\n'),
  );
});

test('plain: prints one line for a step that ends soon', () => {
  const screen = new Terminal(200, 24);
  const display = plainDisplay(screen, clock);
  run(display, [
    { kind: 'start', id: 'sign lkt/sshd', title: 'sign lkt/sshd' },
    { kind: 'done', id: 'sign lkt/sshd', cached: false },
    { kind: 'start', id: 'sshd:1', title: 'COPY a /' },
    100,
    { kind: 'done', id: 'sshd:1', cached: false },
    { kind: 'start', id: 'sshd:2', title: 'COPY b /' },
    300,
    { kind: 'done', id: 'sshd:2', cached: false },
  ]);
  display.close(true);
  expect(screen.text).toBe(
    [
      'sign lkt/sshd: done 0.0s',
      'sshd:1: COPY a /: done 0.1s',
      'sshd:2: COPY b /',
      'sshd:2: done 0.3s',
    ].join('\n'),
  );
});

test('plain: prints one line for a short step that reports its progress', () => {
  const screen = new Terminal(200, 24);
  const display = plainDisplay(screen, clock);
  const progress = { kind: 'progress', current: 1000, total: 2000, unit: 'bytes' } as const;
  run(display, [
    { kind: 'start', id: 'pull a', title: 'pull a' },
    { ...progress, id: 'pull a' },
    100,
    { kind: 'done', id: 'pull a', cached: false },
    { kind: 'start', id: 'pull b', title: 'pull b' },
    { ...progress, id: 'pull b' },
    300,
    { ...progress, id: 'pull b' },
    { kind: 'done', id: 'pull b', cached: false },
  ]);
  expect(screen.text).toBe('pull a: done 0.1s\npull b: started\npull b: done 0.3s');
});

test('plain: counts what is cached in one line at the end', () => {
  const screen = new Terminal(200, 24);
  const display = plainDisplay(screen, clock);
  const names = Array.from({ length: 17 }, (_, index) => `package lkt/p${index}`);
  const cached = names.flatMap((id): ProgressEvent[] => [
    { kind: 'start', id, title: id },
    { kind: 'done', id, cached: true },
  ]);
  // Some commands report packages again that they built.
  const built: readonly ProgressEvent[] = [
    { kind: 'start', id: 'package lkt/new', title: 'lkt/new' },
    { kind: 'done', id: 'package lkt/new', cached: false },
    { kind: 'total', packages: 2 },
    { kind: 'done', id: 'package lkt/new', cached: true },
    { kind: 'done', id: 'package lkt/p1', cached: true },
  ];
  run(display, [{ kind: 'total', packages: 18 }, ...cached, ...built]);
  display.close(false);
  display.close(false);
  expect(screen.text).toBe('lkt/new: done 0.0s [18/18]\ncached: 17 packages');
});

const quiet: readonly (ProgressEvent | number)[] = [
  { kind: 'start', id: 'package lkt/linux', title: 'lkt/linux' },
  { kind: 'start', id: 'lkt/linux:0/1', title: 'RUN make' },
  10_000,
  { kind: 'log', id: 'lkt/linux:0/1', text: `CC \u001b[31ma.o\n${'x'.repeat(300)}` },
  14_000,
];

test('plain: reports every 15 seconds that a step without output is running', () => {
  const screen = new Terminal(400, 24);
  const display = plainDisplay(screen, clock, (name) =>
    name === 'lkt/linux' ? 570_000 : undefined,
  );
  run(display, quiet);
  const before = ['lkt/linux: started', 'lkt/linux:0/1: RUN make', 'lkt/linux:0/1: | CC a.o'];
  expect(screen.text.split('\n')).toEqual(before);
  run(display, [1000, 15_000, 15_000]);
  const beats = [
    ['24.5s', '10m'],
    ['39.0s', '9m'],
    ['53.5s', '9m'],
  ].map(
    ([time, left]) =>
      `lkt/linux:0/1: running for ${time}; about ${left} left, lkt/linux took 9m30s last time | CC a.o`,
  );
  expect(screen.text.split('\n')).toEqual([...before, ...beats]);
  run(display, [{ kind: 'done', id: 'lkt/linux:0/1', cached: false }, 14_000]);
  // The package itself, while none of its steps runs.
  run(display, [1000]);
  expect(screen.text.split('\n').at(-1)).toMatch(/^lkt\/linux: running for 1m10s; /);
  display.close(false);
  const end = screen.text;
  vi.advanceTimersByTime(60_000);
  expect(screen.text).toBe(end);
});

test('plain: shows the output of a quiet step only in the reports that it is running', () => {
  const screen = new Terminal(400, 24);
  const display = plainDisplay(screen, clock);
  run(display, [
    { kind: 'start', id: 'check boots', title: 'boots', quiet: true },
    { kind: 'log', id: 'check boots', text: 'lkt: service a\nlkt: ser' },
    15_000,
    { kind: 'log', id: 'check boots', text: 'vice b\nend' },
    15_000,
    { kind: 'done', id: 'check boots', cached: false },
  ]);
  display.close(false);
  expect(screen.text.split('\n')).toEqual([
    'check boots: started',
    'check boots: running for 14.5s | lkt: service a',
    'check boots: running for 29.0s | lkt: service b',
    'check boots: done 30.0s',
  ]);
});

test('plain: does not estimate the rest of a step that takes longer than the last time', () => {
  const screen = new Terminal(400, 24);
  const display = plainDisplay(screen, clock, () => 20_000);
  run(display, [{ kind: 'start', id: 'package lkt/a', title: 'lkt/a' }, 31_000]);
  expect(screen.text.split('\n')).toEqual([
    'lkt/a: started',
    'lkt/a: running for 14.5s; about 6s left, lkt/a took 20.0s last time',
    'lkt/a: running for 29.0s; lkt/a took 20.0s last time',
  ]);
  display.close(false);
});

test('plain: cuts the last line of a step', () => {
  const screen = new Terminal(400, 24);
  const display = plainDisplay(screen, clock);
  run(display, [{ kind: 'log', id: 'x', text: `${'y'.repeat(300)}\n` }, 15_000]);
  expect(screen.text.split('\n').at(-1)).toBe(`x: running for 14.5s | ${'y'.repeat(200)}`);
  display.close(false);
});

test('tty: estimates the time left in a wide terminal', () => {
  const screen = new Terminal(90, 24);
  const display = ttyDisplay(screen, clock, (name) => (name === 'lkt/a' ? 60_000 : undefined));
  run(display, [
    { kind: 'start', id: 'package lkt/a', title: 'lkt/a' },
    { kind: 'start', id: 'package lkt/b', title: 'lkt/b' },
    { kind: 'start', id: 'pull', title: 'pull' },
    { kind: 'start', id: 'count', title: 'count' },
    10_000,
    { kind: 'progress', id: 'pull', current: 5_000_000, total: 20_000_000, unit: 'bytes' },
    { kind: 'progress', id: 'count', current: 3, unit: 'items' },
    100,
  ]);
  expect(screen.text.split('\n').map((line) => line.replaceAll(/ +/g, ' '))).toEqual([
    ' lkt/a [##..........] 50s left 10.1s',
    ' lkt/b | 10.1s',
    ' pull [###.........] 5.0/20 MB, 31s left 10.1s',
    ' count | 3 10.1s',
  ]);
  run(display, [50_000]);
  expect(screen.text.split('\n')[0]?.replaceAll(/ +/g, ' ')).toBe(' lkt/a | 1m00s');
  run(display, [500]);
  expect(screen.text.split('\n')[0]?.replaceAll(/ +/g, ' ')).toBe(' lkt/a / 1m01s');
  run(display, [
    { kind: 'total', packages: 3 },
    { kind: 'done', id: 'package lkt/b', cached: true },
    { kind: 'done', id: 'package lkt/c', cached: true },
    100,
  ]);
  expect(screen.text.split('\n')[0]?.replaceAll(/ +/g, ' ')).toBe(
    ' 2/3 packages [########....] 1m01s',
  );
  display.close(false);
});

/** The events of the build of a package. */
const done = (name: string, ms: number, cached = false): readonly (ProgressEvent | number)[] => [
  { kind: 'start', id: `package ${name}`, title: name },
  { kind: 'start', id: `${name}:0/1`, title: 'RUN x' },
  ms,
  { kind: 'done', id: `${name}:0/1`, cached },
  { kind: 'done', id: `package ${name}`, cached },
];

test('leaves second builds and their waiting out of durations', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-durations-'));
  const path = join(dir.path, 'durations.json');
  const durations = new Durations(path);
  run({ ...durations.measure({ emit: () => undefined }, clock), close: () => undefined }, [
    { kind: 'start', id: 'package lkt/a', title: 'lkt/a' },
    { kind: 'start', id: 'lkt/a:0/1', title: 'RUN x' },
    20_000,
    { kind: 'done', id: 'lkt/a:0/1', cached: false },
    600_000,
    { kind: 'start', id: 'lkt/a:second build:0/1', title: 'RUN x' },
    30_000,
    { kind: 'done', id: 'lkt/a:second build:0/1', cached: false },
    { kind: 'done', id: 'package lkt/a', cached: false },
  ]);
  durations.save();
  expect(new Durations(path).last('lkt/a')).toBe(20_000);
});

test('remembers how long builds of packages took', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-durations-'));
  const path = join(dir.path, 'durations.json');
  const record = (events: readonly (ProgressEvent | number)[]): readonly ProgressEvent[] => {
    const passed: ProgressEvent[] = [];
    const durations = new Durations(path);
    const reporter = durations.measure({ emit: (event) => void passed.push(event) }, clock);
    run({ ...reporter, close: () => undefined }, events);
    durations.save();
    return passed;
  };
  record(done('lkt/fast', 100));
  expect(await readdir(dir.path)).toEqual([]);
  const events = [...done('lkt/linux', 60_000), ...done('__proto__', 9000)];
  expect(record(events)).toEqual(events.filter((event) => typeof event !== 'number'));
  record([...done('lkt/linux', 70_000), ...done('__proto__', 9000, true)]);
  const { last } = new Durations(path);
  expect([last('lkt/linux'), last('__proto__'), last('toString')]).toEqual([
    70_000,
    9000,
    undefined,
  ]);
  for (const text of ['{', '{"a": 1}', '[["a"], [1, 2], ["b", -1], ["c", "1"], null]', '\u0000']) {
    await writeFile(path, text);
    const broken = new Durations(path).last;
    expect([broken('a'), broken('b'), broken('c')]).toEqual([undefined, undefined, undefined]);
  }
  new Durations('/dev/null/durations.json').save();
});

test('tty: shows running steps with their logs at the bottom, and ended steps above', () => {
  const screen = new Terminal(60, 24);
  const display = ttyDisplay(screen, clock);
  run(display, build);
  vi.advanceTimersByTime(200);
  expect(screen.text).toBe(
    [
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
      '  RUN make                                             2.7s',
      '  sshd                                                 2.7s',
      '  cached: 1 step',
    ].join('\n'),
  );
  expect(screen.cursor).toBe(true);
});

test('tty: shows the log of a failed step again at the end', () => {
  const screen = new Terminal(60, 24);
  const display = ttyDisplay(screen, clock);
  run(display, [...build, { kind: 'failed', id: 'sshd:1' }, { kind: 'failed', id: 'sshd' }]);
  display.close(true);
  expect(screen.text).toContain(
    'RUN make failed; the end of its output:\n  | cc main.c\n  | cc 90%\n  | no end',
  );
  expect(screen.cursor).toBe(true);
});

test('tty: draws a thousand events in a second ten times, within the screen', () => {
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

test('tty: writes nothing without steps, so that a console can use the terminal', () => {
  const screen = new Terminal(30, 8);
  const display = ttyDisplay(screen, clock);
  vi.advanceTimersByTime(5000);
  display.close(false);
  expect(screen.writes).toBe(0);
});

const tree: readonly (ProgressEvent | number)[] = [
  { kind: 'total', packages: 3 },
  { kind: 'start', id: 'package lkt/init', title: 'lkt/init' },
  { kind: 'done', id: 'package lkt/init', cached: true },
  { kind: 'start', id: 'package lkt/go', title: 'lkt/go' },
  { kind: 'start', id: 'package lkt/sshd', title: 'lkt/sshd' },
  { kind: 'start', id: 'lkt/go:0/1', title: '[0 1/2] COPY a /' },
  { kind: 'done', id: 'lkt/go:0/1', cached: true },
  { kind: 'start', id: 'lkt/sshd:0/1', title: '[0 1/1] RUN make' },
  { kind: 'start', id: 'lkt/go:0/2', title: '[0 2/2] RUN go build' },
  { kind: 'log', id: 'lkt/go:0/2', text: 'compiling\n' },
  1000,
];

test('tty: shows packages with their steps, and how many have ended', () => {
  const screen = new Terminal(60, 24);
  const display = ttyDisplay(screen, clock);
  run(display, tree);
  vi.advanceTimersByTime(100);
  expect(screen.text).toBe(
    [
      '  1/3 packages, 1 step, 1 cached                       1.0s',
      '  lkt/go                                               1.0s',
      '    [0 2/2] RUN go build                               1.0s',
      '      compiling',
      '  lkt/sshd                                             1.0s',
      '    [0 1/1] RUN make                                   1.0s',
    ].join('\n'),
  );
  run(display, [
    { kind: 'done', id: 'lkt/go:0/2', cached: false },
    { kind: 'done', id: 'package lkt/go', cached: false },
    { kind: 'failed', id: 'lkt/sshd:0/1' },
  ]);
  display.close(false);
  expect(screen.text).toBe(
    [
      '  lkt/go [0 2/2] RUN go build                          1.1s',
      '  lkt/go                                   built       1.1s',
      '  lkt/sshd [0 1/1] RUN make                failed      1.1s',
      '  cached: 1 package',
    ].join('\n'),
  );
});

test('tty: fits more steps than lines', () => {
  const screen = new Terminal(60, 8);
  const display = ttyDisplay(screen, clock);
  for (let i = 0; i < 9; i += 1)
    display.emit({ kind: 'start', id: `package p${i}`, title: `p${i}` });
  vi.advanceTimersByTime(200);
  const lines = screen.text.split('\n');
  expect(lines).toHaveLength(6);
  expect(lines.at(-1)).toBe('  and 4 more');
  display.close(false);
});

test('tty: handles a narrowed terminal, and characters of two columns', () => {
  const screen = new Terminal(80, 24);
  const display = ttyDisplay(screen, clock);
  display.emit({ kind: 'start', id: 'x', title: '名前'.repeat(30) });
  vi.advanceTimersByTime(200);
  expect(screen.text).toMatch(/^ {2}(名前)+名?… +\| +0\.\ds$/);
  vi.advanceTimersByTime(500);
  expect(screen.ups).toBe(1);
  screen.columns = 40;
  vi.advanceTimersByTime(500);
  expect(screen.ups).toBe(2);
  display.close(false);
});

test.each([
  ['abc', 3],
  ['名前', 4],
  ['e\u0301', 1],
  ['🚀', 2],
  ['é…', 2],
])('%s is %i columns wide', (text, width) => {
  expect(widthOf(text)).toBe(width);
  expect(widthOf(cut(`${text}${text}`, width))).toBeLessThanOrEqual(width);
});

test('plain: prints the number of steps of a package, and the overall progress', () => {
  const screen = new Terminal(200, 24);
  const display = plainDisplay(screen, clock);
  run(display, tree);
  run(display, [
    { kind: 'done', id: 'lkt/go:0/2', cached: false },
    { kind: 'done', id: 'package lkt/go', cached: false },
  ]);
  display.close(false);
  const lines = screen.text.split('\n');
  expect(lines).not.toContain('lkt/init: cached [1/3]');
  expect(lines).toContain('lkt/go:0/2: | compiling');
  expect(lines.slice(-2)).toEqual([
    'lkt/go: done 1.0s, 2 steps, 1 cached [2/3]',
    'cached: 1 package',
  ]);
});

test('json: prints no control characters', () => {
  const lines: string[] = [];
  const display = openDisplay('json', { write: (text) => lines.push(text) }, clock);
  const text = 'a\u001b[31m\u009b31m\u007f\u202eb\u2066';
  display.emit({ kind: 'log', id: 'x', text });
  const line = lines.join('').trimEnd();
  expect(line).toMatch(/^[\x20-\x7e]+$/);
  expect(JSON.parse(line)).toMatchObject({ text });
});

function failing(lines: number): readonly ProgressEvent[] {
  return [
    { kind: 'start', id: 'package lkt/a', title: 'lkt/a' },
    { kind: 'start', id: 'lkt/a:0/1', title: 'RUN a' },
    { kind: 'log', id: 'lkt/a:0/1', text: 'fine\n' },
    { kind: 'done', id: 'lkt/a:0/1', cached: false },
    { kind: 'start', id: 'lkt/a:../x', title: 'RUN b' },
    ...Array.from({ length: lines }, (_, index): ProgressEvent => ({
      kind: 'log',
      id: 'lkt/a:../x',
      text: `line ${index + 1}\u001b[2J\n`,
    })),
    { kind: 'start', id: 'lkt/b:0/1', title: 'RUN c' },
    { kind: 'log', id: 'lkt/b:0/1', text: 'stopped' },
    { kind: 'failed', id: 'lkt/a:../x' },
    { kind: 'failed', id: 'lkt/b:0/1' },
    { kind: 'failed', id: 'package lkt/a' },
  ];
}

describe('logs of failed steps', () => {
  test('are kept whole in a file, and shown by their last lines', async () => {
    vi.useRealTimers();
    await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-logs-'));
    const passed: ProgressEvent[] = [];
    const logs = new KeptLogs(join(dir.path, 'logs'), 'now', {
      emit: (event) => void passed.push(event),
    });
    for (const event of failing(300)) logs.emit(event);
    logs.close();
    expect(passed).toEqual(failing(300));
    const names = await readdir(join(dir.path, 'logs'));
    expect(names).toEqual(['now-lkt-a-x.log']);
    const text = await readFile(join(dir.path, 'logs/now-lkt-a-x.log'), 'utf8');
    expect(text.split('\n')).toHaveLength(301);
    expect(text).not.toContain('\u001b');
    const failed = logs.failed === undefined ? '' : describeLog(logs.failed);
    expect(failed.split('\n')).toHaveLength(202);
    expect(failed).toMatch(/^ {2}\| \(100 lines before that\)\n {2}\| line 101\n/);
    expect(failed).toContain(`line 300\n  | (all 300 lines: ${join(dir.path, 'logs')}`);
  });

  test('exclude those of steps that another failure stopped', async () => {
    vi.useRealTimers();
    await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-logs-'));
    const logs = new KeptLogs(dir.path, 'now', { emit: () => undefined });
    for (const event of failing(1))
      logs.emit(event.kind === 'failed' ? { ...event, stopped: true } : event);
    logs.close();
    expect(logs.failed).toBeUndefined();
    expect(await readdir(dir.path)).toEqual([]);
  });

  test('are shown even if no file can be written', () => {
    const logs = new KeptLogs('/dev/null/logs', 'now', { emit: () => undefined });
    for (const event of failing(1)) logs.emit(event);
    expect(logs.failed).toMatchObject({ title: 'RUN b', lines: ['line 1'], path: undefined });
  });

  test('are deleted when there are many newer ones', async () => {
    vi.useRealTimers();
    await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-logs-'));
    for (let time = 1000; time < 1060; time += 1) {
      const logs = new KeptLogs(dir.path, String(time), { emit: () => undefined });
      for (const event of failing(1)) logs.emit(event);
    }
    const names = await readdir(dir.path);
    expect(names.length).toBeLessThanOrEqual(52);
    expect(names.some((name) => name.startsWith('1059'))).toBe(true);
  });
});

test('json: prints each event on a line', () => {
  const lines: string[] = [];
  const display = openDisplay('json', { write: (text) => lines.push(text) }, clock);
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

test('quiet: prints only the log of a failed step', () => {
  const screen = new Terminal(200, 24);
  const display = openDisplay('quiet', screen, () => 0);
  run(display, build);
  expect(screen.text).toBe('');
  run(display, [{ kind: 'failed', id: 'sshd:1' }]);
  display.close(true);
  expect(screen.text).toBe(
    'RUN make failed; the end of its output:\n  | cc main.c\n  | cc 90%\n  | no end',
  );
});
