import type { Digest } from '@lkt/core';
import type { Cause } from './cause.ts';
import type { Mark } from './marks.ts';

/** The result of a second build in a varied environment. */
export interface CheckReport {
  /** Whether the images are equal. */
  readonly reproducible: boolean;
  readonly first: Digest;
  readonly second: Digest;
  /**
   * Steps with different results from equal inputs: first those that reach the image, in the order
   * of the Dockerfile.
   */
  readonly differences: readonly StepDifference[];
  /** Files that seem to contain data that another day or machine would change. */
  readonly marks: readonly Mark[];
  /** Parts of the environment that could not be varied. */
  readonly notes: readonly string[];
}

/** A step with different results, and the files that differ. */
export interface StepDifference {
  /** Absent for images without a Dockerfile. */
  readonly step?: {
    readonly path: string;
    readonly line: number;
    readonly column: number;
    readonly title: string;
  };
  /** Whether the image differs because of it. */
  readonly reachesImage: boolean;
  /** Empty for a step that was not compared because it does not reach the image. */
  readonly files: readonly FileDifference[];
  /** The number of further differing files. */
  readonly more: number;
}

/** A file that differs between the builds. */
export interface FileDifference {
  /** Absolute path in the image. */
  readonly path: string;
  /** A predicate for the user: `only in the first build`. */
  readonly what: string;
  readonly cause: Cause;
}

/** Maximum number of files per step that are shown. */
const MAX_SHOWN_FILES = 10;

/**
 * Formats a report for the user: `summary` is one line; `detail` has the steps, files and causes;
 * `fix` is the first thing to do.
 */
export function describeCheck(report: CheckReport): {
  readonly summary: string;
  readonly detail: string;
  readonly fix: string | undefined;
} {
  const real = report.differences.filter(({ reachesImage }) => reachesImage);
  const lines = real.flatMap((difference, index) => [
    ...(index === 0 ? [] : [`${locationOf(difference)}: this step differs as well`]),
    ...difference.files.slice(0, MAX_SHOWN_FILES).flatMap(describeFile),
    ...moreLine(difference),
  ]);
  const [first] = real;
  return {
    summary:
      first?.step === undefined
        ? `a second build produced ${report.second} instead of ${report.first}`
        : `${locationOf(first)}: a second build of this step produced different files`,
    detail: lines.join('\n'),
    fix: first?.files[0]?.cause.fix,
  };
}

/**
 * Returns remarks about a reproducible image, one line each.
 * @param path the file to name if no step is known
 * @param verbose also lists differences that do not reach the image
 */
export function checkRemarks(
  report: CheckReport,
  { path: fallback, verbose }: { readonly path: string; readonly verbose: boolean },
): readonly string[] {
  const hidden = verbose ? report.differences.filter(({ reachesImage }) => !reachesImage) : [];
  return [
    ...report.marks.map(
      ({ path, kind, text }) =>
        `${fallback}: ${path} contains ${MARKS[kind]}: ${JSON.stringify(text)}`,
    ),
    ...hidden.map(({ step, files }) => {
      const names = files.slice(0, 3).map(({ path }) => path);
      const which = names.length === 0 ? '' : ` (${names.join(', ')})`;
      return `${locationOf({ step })}: produces different files each time${which}, which do not reach the image`;
    }),
  ];
}

const MARKS: Readonly<Record<Mark['kind'], string>> = {
  day: 'the day of the build, so another day may change the image',
  kernel: 'the release of the running kernel, so another machine may change the image',
  processor:
    'the model of this processor, or what gcc derives from it (-march=native), so another machine may change the image',
  'boot-id': 'the boot id of the machine, so every boot changes the image',
};

function locationOf({ step }: { readonly step?: StepDifference['step'] | undefined }): string {
  return step === undefined
    ? 'the image'
    : `${step.path}:${step.line}:${step.column}: ${step.title}`;
}

function describeFile({ path, what, cause }: FileDifference): readonly string[] {
  return [`  ${path}: ${what}`, `    cause: ${cause.text}`, `    fix: ${cause.fix}`];
}

function moreLine({ files, more }: StepDifference): readonly string[] {
  const hidden = Math.max(0, files.length - MAX_SHOWN_FILES) + more;
  return hidden === 0 ? [] : [`  and ${hidden} more`];
}
