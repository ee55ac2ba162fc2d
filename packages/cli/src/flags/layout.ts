import { resolve } from 'node:path';
import type { BuildOptions } from '@lkt/pkg';
import type { Session } from '../session/session.ts';
import { Flags } from './options.ts';

export const layoutsFlag = {
  layouts: Flags.string({
    summary:
      'directory with an OCI image layout per package; lkt takes packages from it, and pkg build adds the packages it builds. Everyone who can write there decides what gets built',
    helpValue: 'DIR',
  }),
};

/** Returns the build options for `--layouts`. */
export function layoutsOf(
  { layouts }: { readonly layouts?: string | undefined },
  { environment: { cwd } }: Session,
): Pick<BuildOptions, 'layouts'> {
  return layouts === undefined ? {} : { layouts: resolve(cwd, layouts) };
}
