import { resolve } from 'node:path';
import type { BuildOptions } from '@lkt/pkg';
import type { Session } from '../session/session.ts';
import { valueFlag } from './options.ts';

export const layoutsFlag = {
  layouts: valueFlag(
    'DIR',
    'directory with an OCI image layout per package; lkt takes packages from it, and pkg build adds the packages it builds. Everyone who can write there decides what gets built',
  ),
};

/** Returns the build options for `--layouts`. */
export function layoutsOf(
  { layouts }: { readonly layouts?: string | undefined },
  { environment: { cwd } }: Session,
): Pick<BuildOptions, 'layouts'> {
  return layouts === undefined ? {} : { layouts: resolve(cwd, layouts) };
}
