/**
 * What long work says while it goes on. Libraries emit; the CLI draws. A step is named by `id`, unique in a run
 * (`lkt/sshd:3/7`), and shown by `title`; one whose id goes on after the name of a package, `NAME:`, is a part of the step
 * `package NAME`.
 */
export type ProgressEvent =
  | { readonly kind: 'start'; readonly id: string; readonly title: string }
  | {
      readonly kind: 'progress';
      readonly id: string;
      readonly current: number;
      readonly total?: number;
      readonly unit: 'bytes' | 'items';
    }
  /** A piece of output as it came: lines end with `\n`, and the last may go on in the next piece. */
  | { readonly kind: 'log'; readonly id: string; readonly text: string }
  | { readonly kind: 'done'; readonly id: string; readonly cached: boolean }
  /** `stopped`: not by itself, but because something else has failed, or the user wants it. */
  | { readonly kind: 'failed'; readonly id: string; readonly stopped?: true }
  | { readonly kind: 'warning'; readonly text: string }
  /** How many packages the run is about: steps named `package NAME`. A later one stands for a new start. */
  | { readonly kind: 'total'; readonly packages: number };

/** Takes progress events. Must not throw and must not block the work. */
export interface Reporter {
  emit(event: ProgressEvent): void;
}

export const silentReporter: Reporter = { emit: () => undefined };
