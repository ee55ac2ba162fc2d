import { type ProgressEvent, silentReporter } from '@lkt/core';
import { expect, test } from 'vitest';
import { runChart, traceOf } from '../../src/output/run-timeline.ts';
import { chartFile } from '../../src/page/bar-chart.ts';
import { type RunTimeline, StepRecorder } from '../../src/progress/recorder.ts';

/** Records events; a number is the milliseconds until the next one. */
function recorded(events: readonly (ProgressEvent | number)[]): RunTimeline {
  let now = 5000;
  const recorder = new StepRecorder(silentReporter, () => now);
  for (const event of events) {
    if (typeof event === 'number') now += event;
    else recorder.emit(event);
  }
  return recorder.timeline;
}

const start = (id: string, title = id): ProgressEvent => ({ kind: 'start', id, title });
const done = (id: string, cached = false): ProgressEvent => ({ kind: 'done', id, cached });

const BUILD = [
  start('package a:1', 'a:1'),
  start('a:1:1/2', 'FROM scratch'),
  done('a:1:1/2', true),
  100,
  start('a:1:2/2', 'RUN make'),
  start('a:1:pull', 'pull'),
  400,
  { kind: 'log', id: 'a:1:2/2', text: 'x' },
  done('a:1:pull'),
  start('package b', 'b'),
  100.0005,
  { kind: 'failed', id: 'a:1:2/2' },
  { kind: 'failed', id: 'package a:1' },
  { kind: 'failed', id: 'unknown' },
  start('segment', 'pack'),
  50,
  { kind: 'failed', id: 'segment', stopped: true },
] as const satisfies readonly (ProgressEvent | number)[];

test('records steps with their packages, and ends those that still run', () => {
  const { steps } = recorded(BUILD);
  expect(steps.map((step) => [step.id, step.package, step.start, step.end, step.state])).toEqual([
    ['a:1:1/2', 'a:1', 0, 0, 'cached'],
    ['package a:1', 'a:1', 0, 0.600001, 'failed'],
    ['a:1:pull', 'a:1', 0.1, 0.5, 'done'],
    ['a:1:2/2', 'a:1', 0.1, 0.600001, 'failed'],
    ['package b', 'b', 0.5, 0.650001, 'stopped'],
    ['segment', undefined, 0.600001, 0.650001, 'stopped'],
  ]);
});

test('passes every event on', () => {
  const passed: ProgressEvent[] = [];
  const recorder = new StepRecorder({ emit: (event) => passed.push(event) }, () => 0);
  const events = BUILD.filter((event) => typeof event !== 'number');
  for (const event of events) recorder.emit(event);
  expect(passed).toEqual(events);
});

test('bounds the number of steps and the length of titles', () => {
  const { steps, more } = recorded([
    ...Array.from({ length: 25_000 }, (_, index) => start(`s${index}`, 'x'.repeat(1000))),
    done('s24999'),
  ]);
  expect(more).toBe(true);
  expect(steps).toHaveLength(20_000);
  expect(steps[0]?.title).toHaveLength(300);
});

test('has a process for each package, and threads in which steps do not overlap', () => {
  const { traceEvents: events } = traceOf(recorded(BUILD)) as {
    readonly traceEvents: readonly {
      readonly ph: string;
      readonly name: string;
      readonly pid: number;
      readonly tid: number;
      readonly ts: number;
      readonly dur: number;
      readonly args: { readonly name?: string; readonly state?: string };
    }[];
  };
  const names = events.filter(({ name }) => name === 'process_name');
  expect(names.map(({ pid, args }) => [pid, args.name])).toEqual([
    [1, 'a:1'],
    [2, 'b'],
    [3, 'lkt'],
  ]);
  const complete = events.filter(({ ph }) => ph === 'X');
  expect(complete.map((one) => [one.name, one.pid, one.tid, one.ts, one.dur])).toEqual([
    ['FROM scratch', 1, 1, 0, 0],
    ['a:1', 1, 1, 0, 600_001],
    ['pull', 1, 2, 100_000, 400_000],
    ['RUN make', 1, 3, 100_000, 500_001],
    ['b', 2, 1, 500_000, 150_001],
    ['pack', 3, 1, 600_001, 50_000],
  ]);
  expect(complete.map(({ args }) => args.state)).toContain('failed');
});

test('draws the steps of a package below it, and the longest of many', () => {
  const { title, bars } = runChart(recorded(BUILD));
  expect(title).toBe('6 steps in 0.650 s, 1 cached, 2 failed');
  expect(bars.map(({ label, kind }) => [label, kind])).toEqual([
    ['a:1', 'failed'],
    ['\u00a0\u00a0\u00a0FROM scratch', 'none'],
    ['\u00a0\u00a0\u00a0pull', 'third'],
    ['\u00a0\u00a0\u00a0RUN make', 'failed'],
    ['b', 'none'],
    ['pack', 'none'],
  ]);
  const many = Array.from({ length: 500 }, (_, index) => [
    start(`s${index}`),
    index,
    done(`s${index}`),
  ]);
  const chart = runChart(recorded(many.flat()));
  expect(chart.bars).toHaveLength(400);
  expect(chart.bars.map(({ label }) => label)).not.toContain('s99');
  expect(chart.title).toMatch(/, 100 shorter steps are not shown$/);
  expect(chartFile(runChart(recorded([])))).toContain('0 steps in 0.000 s');
});
