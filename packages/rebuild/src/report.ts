import type { Digest } from '@lkt/core';
import type { Cause } from './cause.ts';
import type { Mark } from './marks.ts';

/** What a second build in other surroundings gave. */
export interface CheckReport {
  /** Whether the image is the same. */
  readonly reproducible: boolean;
  readonly first: Digest;
  readonly second: Digest;
  /** Steps that gave something else from the same: those that reach the image first, in the order of the Dockerfile. */
  readonly differences: readonly StepDifference[];
  /** Files that seem to hold what another day or machine would change. */
  readonly marks: readonly Mark[];
  /** What of the surroundings could not be changed. */
  readonly notes: readonly string[];
}

export interface StepDifference {
  /** Absent for images that no Dockerfile makes. */
  readonly step?: {
    readonly path: string;
    readonly line: number;
    readonly column: number;
    readonly title: string;
  };
  /** Whether it is why the image differs. */
  readonly reachesImage: boolean;
  /** None where nobody has looked, which is only for what does not reach the image. */
  readonly files: readonly FileDifference[];
  /** How many more files differ. */
  readonly more: number;
}

export interface FileDifference {
  /** In the image. */
  readonly path: string;
  /** What differs, for people. */
  readonly what: string;
  readonly cause: Cause;
}

/** Files that are shown of a step. */
const SHOWN = 10;

/** The report for people: `summary` is one line, `detail` the steps, files and causes; `fix` what to do first. */
export function describeCheck(report: CheckReport): {
  readonly summary: string;
  readonly detail: string;
  readonly fix: string | undefined;
} {
  const real = report.differences.filter(({ reachesImage }) => reachesImage);
  const lines = real.flatMap((difference, index) => [
    ...(index === 0 ? [] : [`${placeOf(difference)}: and so does this step`]),
    ...difference.files.slice(0, SHOWN).flatMap(describeFile),
    ...moreLine(difference),
  ]);
  const [first] = real;
  return {
    summary:
      first?.step === undefined
        ? `a second build gives ${report.second} instead of ${report.first}`
        : `${placeOf(first)}: a second build of this step gives other files`,
    detail: lines.join('\n'),
    fix: first?.files[0]?.cause.fix,
  };
}

/**
 * What to say although the image is the same, a line each.
 * @param path what to name where no step is known
 * @param verbose also what does not reach the image
 */
export function checkRemarks(
  report: CheckReport,
  { path: place, verbose }: { readonly path: string; readonly verbose: boolean },
): readonly string[] {
  const hidden = verbose ? report.differences.filter(({ reachesImage }) => !reachesImage) : [];
  return [
    ...report.marks.map(
      ({ path, kind, text }) => `${place}: ${path} holds ${MARKS[kind]}: ${JSON.stringify(text)}`,
    ),
    ...hidden.map(({ step, files }) => {
      const names = files.slice(0, 3).map(({ path }) => path);
      const which = names.length === 0 ? '' : ` (${names.join(', ')})`;
      return `${placeOf({ step })}: gives other files each time${which}, which do not reach the image`;
    }),
  ];
}

const MARKS: Readonly<Record<Mark['kind'], string>> = {
  day: 'the day it was built, and another day may give another image',
  kernel: 'the release of the running kernel, and another machine may give another image',
  'boot-id': 'the boot id of the machine, and another machine gives another image',
};

function placeOf({ step }: { readonly step?: StepDifference['step'] | undefined }): string {
  return step === undefined
    ? 'the image'
    : `${step.path}:${step.line}:${step.column}: ${step.title}`;
}

function describeFile({ path, what, cause }: FileDifference): readonly string[] {
  return [`  ${path}: ${what}`, `    cause: ${cause.text}`, `    fix: ${cause.fix}`];
}

function moreLine({ files, more }: StepDifference): readonly string[] {
  const hidden = Math.max(0, files.length - SHOWN) + more;
  return hidden === 0 ? [] : [`  and ${hidden} more`];
}
