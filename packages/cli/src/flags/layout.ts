import { resolve } from 'node:path';
import type { BuildOptions } from '@lkt/pkg';
import type { Session } from '../session/session.ts';
import { Flags } from './options.ts';

export const layoutsFlag = {
  layouts: Flags.string({
    summary:
      'a directory with an OCI image layout for each package: what others have built is taken from there, and pkg build leaves there what is named; whoever writes there decides what is built',
    helpValue: 'DIR',
  }),
};

/** What the flag says to a build. */
export function layoutsOf(
  { layouts }: { readonly layouts?: string | undefined },
  { environment: { cwd } }: Session,
): Pick<BuildOptions, 'layouts'> {
  return layouts === undefined ? {} : { layouts: resolve(cwd, layouts) };
}
