import { type Bar, type BarChart, showSeconds } from '../page/bar-chart.ts';
import { shortTag } from '../page/cells.ts';
import type { RunTimeline, StepSpan } from '../progress/recorder.ts';
import { counted } from './lines.ts';

/** More bars would be unreadable. */
const MAX_BARS = 400;

/** Returns the chart of a run: a bar for every package, and indented ones for its steps. */
export function runChart({ steps, more }: RunTimeline): BarChart {
  const kept = new Set(
    steps.toSorted((a, b) => b.end - b.start - (a.end - a.start)).slice(0, MAX_BARS),
  );
  const left = steps.length - kept.size;
  const total = Math.max(0, ...steps.map(({ end }) => end));
  const cached = steps.filter(({ state }) => state === 'cached').length;
  const failed = steps.filter(({ state }) => state === 'failed').length;
  const title = [
    `${counted(steps.length, 'step')} in ${showSeconds(total)}`,
    ...(cached > 0 ? [`${cached} cached`] : []),
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(left > 0 || more ? [`${more ? 'more' : left} shorter steps are not shown`] : []),
  ].join(', ');
  return {
    title,
    bars: groupsOf(steps).flatMap((group) => group.filter((one) => kept.has(one)).map(barOf)),
  };
}

function barOf(step: StepSpan): Bar {
  const { id, title, start, end, state } = step;
  const isPart = step.package !== undefined && !isPackage(step);
  return {
    label: `${isPart ? '\u00a0\u00a0\u00a0' : ''}${shortTag(title)}`,
    start,
    end,
    kind: kindOf(step),
    hint: `${id}: ${title}, ${state}, ${(end - start).toFixed(3)} s from ${start.toFixed(3)} to ${end.toFixed(3)}`,
  };
}

function kindOf(step: StepSpan): Bar['kind'] {
  if (step.state === 'failed') return 'failed';
  if (step.state === 'cached' || step.state === 'stopped') return 'none';
  return isPackage(step) ? 'first' : step.package === undefined ? 'second' : 'third';
}

function isPackage({ id, package: name }: StepSpan): boolean {
  return name !== undefined && id === `package ${name}`;
}

/** Groups the steps of each package below it, in the order of their starts. */
function groupsOf(steps: readonly StepSpan[]): readonly (readonly StepSpan[])[] {
  let alone = 0;
  const keyOf = (step: StepSpan): string => step.package ?? `\0${(alone += 1)}`;
  const groups = [...Map.groupBy(steps, keyOf).values()];
  return groups.map((group) =>
    group.toSorted((a, b) => Number(isPackage(b)) - Number(isPackage(a))),
  );
}

/**
 * Returns a run in Chrome's trace event format, which Perfetto, Speedscope and Chromium read: a
 * process for each package, and a thread for steps that do not overlap. Times are in microseconds.
 */
export function traceOf({ steps, more }: RunTimeline): object {
  const processes = Map.groupBy(steps, (step) => step.package ?? 'lkt');
  const traceEvents = [...processes].flatMap(([name, spans], index) => {
    const pid = index + 1;
    const ends: number[] = [];
    return [
      { ph: 'M', name: 'process_name', pid, tid: 0, args: { name } },
      { ph: 'M', name: 'process_sort_index', pid, tid: 0, args: { sort_index: index } },
      ...spans.map((span) => ({
        ph: 'X',
        name: span.title,
        cat: isPackage(span) ? 'package' : 'step',
        ts: micro(span.start),
        dur: micro(span.end) - micro(span.start),
        pid,
        tid: laneOf(ends, span),
        args: { id: span.id, state: span.state },
      })),
    ];
  });
  return {
    displayTimeUnit: 'ms',
    traceEvents,
    otherData: { producer: 'lkt', ...(more ? { more: 'true' } : {}) },
  };
}

/** Returns the first lane that is free at the start of a span. */
function laneOf(ends: number[], { start, end }: StepSpan): number {
  const free = ends.findIndex((time) => time <= start);
  const lane = free === -1 ? ends.length : free;
  ends[lane] = end;
  return lane + 1;
}

function micro(seconds: number): number {
  return Math.round(seconds * 1e6);
}
