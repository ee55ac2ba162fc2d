import { LktError } from '@lkt/core';

/** The error for a program that is not there, with the command that installs it on Debian. */
export function toolMissing(program: string, aptPackage: string): LktError {
  if (program.includes('/'))
    return new LktError('TOOL_MISSING', `there is no program ${program}`, {
      fix: 'check the path',
    });
  return new LktError('TOOL_MISSING', `${program} is not installed`, {
    fix: `apt-get install --no-install-recommends ${aptPackage}`,
  });
}
