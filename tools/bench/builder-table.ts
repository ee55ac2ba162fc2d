import type { State } from './builder-peers.ts';
import type { Measurement } from './measure.ts';

export interface Row extends Measurement {
  readonly case: string;
  readonly state: State;
}

/** The cost of a RUN step that does nothing. */
export interface PerCommand {
  readonly name: string;
  readonly milliseconds: number;
}

/**
 * Returns the table of docs/benchmarks.md: medians, the peers' times as multiples of lkt's, and
 * lkt's processor time and memory.
 */
export function markdown(rows: readonly Row[], perCommand: readonly PerCommand[]): string {
  const names = [...new Set(rows.map(({ name }) => name))];
  const [ours = '', ...peers] = names;
  const head = ['case', `${ours} ms`, ...peers.flatMap((name) => [`${name} ms`, '×'])];
  const columns = [...head, ...names.map((name) => `${name} MB`)];
  const lines = [columns, columns.map((_, index) => (index === 0 ? '---' : '--:'))];
  for (const { case: item, state } of rows.filter(({ name }) => name === ours)) {
    const these = names.flatMap(
      (name) =>
        rows.find((row) => row.case === item && row.state === state && row.name === name) ?? [],
    );
    const times = timesOf(these.map(({ median }) => median));
    lines.push([`${item}, ${state}`, ...times, ...these.map(({ memory }) => memory.toFixed(0))]);
  }
  if (perCommand.length > 0) {
    const times = timesOf(perCommand.map(({ milliseconds }) => milliseconds));
    lines.push(['each RUN of `steps`', ...times, ...names.map(() => '')]);
  }
  return lines.map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}

function timesOf([ours = 0, ...others]: readonly number[]): readonly string[] {
  return [
    ours.toFixed(0),
    ...others.flatMap((time) => [time.toFixed(0), (time / ours).toFixed(1)]),
  ];
}
