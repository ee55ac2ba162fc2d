import { join } from 'node:path';
import { LktError } from '@lkt/core';
import { exists } from '@lkt/oci/files';

/** The name of the trust policy of a workspace, in its root. */
export const TRUST_FILE = 'trust.yml';
const OTHER_NAME = 'trust.yaml';
/** A workspace that has none of these has no policy. */
export const TRUST_FILES: readonly string[] = [TRUST_FILE, OTHER_NAME];

/**
 * Where the trust policy of a workspace is; undefined where it has none. It may be one that cannot be read.
 * @param root of the workspace
 * @throws LktError CONFIG_INVALID for a policy under a name that is not read: silence would take it for none; IO_FAILED
 */
export async function findTrustFile(root: string): Promise<string | undefined> {
  const path = join(root, TRUST_FILE);
  if (await exists(path)) return path;
  if (!(await exists(join(root, OTHER_NAME)))) return undefined;
  throw new LktError('CONFIG_INVALID', `${OTHER_NAME} is not the name of a trust policy`, {
    fix: `name it ${TRUST_FILE}`,
  });
}
