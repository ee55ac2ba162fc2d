import { LktError } from '@lkt/core';

/** Returns the error for a missing program, with the command that installs it on Debian. */
export function toolMissing(program: string, aptPackage: string): LktError {
  if (program.includes('/'))
    return new LktError('TOOL_MISSING', `there is no program ${program}`, {
      fix: 'correct the path',
    });
  return new LktError('TOOL_MISSING', `${program} is not installed`, {
    fix: `run apt-get install --no-install-recommends ${aptPackage}`,
  });
}
