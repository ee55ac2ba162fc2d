/** Whole runs of a command that tell its usual time. */
const RUNS = 3;
/** The parts of a usual time that are counted apart. */
export const TENTHS = 10;
/** The command that only starts lkt. */
export const START = 'version';

/** The usual times of commands, and the moments at which they were killed. */
export class KillTimes {
  readonly #wholeRuns = new Map<string, number[]>();
  /** Kills by tenths of the usual time; the last number counts later ones. */
  readonly #kills = new Map<string, number[]>();
  #killsInStart = 0;

  /** Records the time of a command that ran to its end, in milliseconds. */
  addWholeRun(name: string, ms: number): void {
    const runs = this.#wholeRuns.get(name) ?? [];
    this.#wholeRuns.set(name, [...runs, ms].slice(-RUNS));
  }

  /** Returns the median of the last whole runs, in milliseconds. */
  usual(name: string): number {
    const runs = this.#wholeRuns.get(name)?.toSorted((a, b) => a - b) ?? [];
    const median = runs[runs.length >> 1];
    if (median === undefined) throw new Error(`${name} has not run yet`);
    return median;
  }

  /** Records that a command was killed after so many milliseconds. */
  addKill(name: string, ms: number): void {
    const kills = this.#kills.get(name) ?? Array.from({ length: TENTHS + 1 }, () => 0);
    const tenth = Math.min(TENTHS, Math.floor((ms / this.usual(name)) * TENTHS));
    kills[tenth] = (kills[tenth] ?? 0) + 1;
    this.#kills.set(name, kills);
    if (ms < this.usual(START)) this.#killsInStart += 1;
  }

  /** Returns the number of kills from a tenth of the usual time on. */
  count(tenth = 0): number {
    return [...this.#kills.values()]
      .flatMap((kills) => kills.slice(tenth))
      .reduce((sum, number) => sum + number, 0);
  }

  /** Returns a summary, and a line for each command. */
  toString(): string {
    const lines = [...this.#kills].map(
      ([name, kills]) =>
        `${name}, ${this.usual(name).toFixed()} ms: ${kills.slice(0, TENTHS).join(' ')}, later ${kills[TENTHS] ?? 0}`,
    );
    const total = `${this.count()} kills, ${this.#killsInStart} of them in the time that lkt version takes`;
    return [`${total}; by tenths of the usual time:`, ...lines].join('\n  ');
  }
}
