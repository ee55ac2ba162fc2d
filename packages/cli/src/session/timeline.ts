import { listFlag } from '../flags/options.ts';
import type { Session } from './session.ts';

/** The flag of commands that record when their steps ran. */
export const timelineFlag = {
  timeline: listFlag('FILE', 'step timeline: .svg, or .json as Chrome traces'),
};

/**
 * Runs work in a session that records its steps, and writes the files of `--timeline` at its end,
 * also if it fails.
 * @throws LktError USAGE_INVALID, IO_FAILED; the error of `work`
 */
export async function recordSteps<T>(
  session: Session,
  names: readonly string[] | undefined,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  if (names === undefined || names.length === 0) return work(session);
  const { openTimelines, RUN_FORMS } = await import('../output/timeline-files.ts');
  const { StepRecorder } = await import('../progress/recorder.ts');
  const files = await openTimelines(names, session.environment.cwd, RUN_FORMS);
  const recorder = new StepRecorder(session.reporter, () => performance.now());
  let result: T;
  try {
    result = await work({ ...session, reporter: recorder });
  } catch (error) {
    files?.write(recorder.timeline);
    // The error of the work matters more.
    await files?.finished().catch(() => undefined);
    throw error;
  }
  files?.write(recorder.timeline);
  await files?.finished();
  return result;
}
