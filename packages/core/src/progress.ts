/**
 * An event of long work. Libraries emit events; the CLI renders them. `id` identifies a step within
 * a run (`lkt/sshd:3/7`), `title` describes it. A step with the id `NAME:…` is a part of the step
 * `package NAME`; one with the id `NAME:second build:…` compares the package with another build.
 */
export type ProgressEvent =
  /** `quiet`: a display of lines does not print the step's output. */
  | { readonly kind: 'start'; readonly id: string; readonly title: string; readonly quiet?: true }
  | {
      readonly kind: 'progress';
      readonly id: string;
      readonly current: number;
      readonly total?: number;
      readonly unit: 'bytes' | 'items';
    }
  /** Unmodified output: lines end with `\n`; the last one may continue in the next event. */
  | { readonly kind: 'log'; readonly id: string; readonly text: string }
  | { readonly kind: 'done'; readonly id: string; readonly cached: boolean }
  /** `stopped`: the step did not fail itself; another step failed, or the user interrupted. */
  | { readonly kind: 'failed'; readonly id: string; readonly stopped?: true }
  | { readonly kind: 'warning'; readonly text: string }
  /** The number of steps named `package NAME` in the run. A later event replaces it. */
  | { readonly kind: 'total'; readonly packages: number };

/** In the name of a build that only checks another one; see {@link ProgressEvent}. */
export const SECOND_BUILD = 'second build';

/** Receives progress events. It must not throw or block. */
export interface Reporter {
  emit(event: ProgressEvent): void;
}

/** A reporter that discards all events. */
export const silentReporter: Reporter = { emit: () => undefined };

/**
 * Runs a step and emits its start and its end.
 * @param isCached reports whether the step had nothing to do; default: never
 * @throws the error of `work`
 */
export async function reportStep<T>(
  reporter: Reporter,
  step: { readonly id: string; readonly title: string; readonly quiet?: true },
  work: () => Promise<T>,
  isCached: (result: T) => boolean = () => false,
): Promise<T> {
  const { id } = step;
  reporter.emit({ kind: 'start', ...step });
  try {
    const result = await work();
    reporter.emit({ kind: 'done', id, cached: isCached(result) });
    return result;
  } catch (error) {
    reporter.emit({ kind: 'failed', id });
    throw error;
  }
}
