import { join } from 'node:path';
import { LktError } from '@lkt/core';
import { exists } from '@lkt/oci/files';

/** The file name of a workspace's trust policy, in its root. */
export const TRUST_FILE = 'trust.yml';
const OTHER_NAME = 'trust.yaml';
/** A workspace without any of these files has no trust policy. */
export const TRUST_FILES: readonly string[] = [TRUST_FILE, OTHER_NAME];

/**
 * Returns the path of a workspace's trust policy, or undefined if it has none. Does not read the
 * file.
 * @param root top directory of the workspace
 * @throws CONFIG_INVALID for a policy named trust.yaml, which would otherwise be ignored
 * @throws IO_FAILED
 */
export async function findTrustFile(root: string): Promise<string | undefined> {
  const path = join(root, TRUST_FILE);
  if (await exists(path)) return path;
  if (!(await exists(join(root, OTHER_NAME)))) return undefined;
  throw new LktError('CONFIG_INVALID', `a trust policy must not be named ${OTHER_NAME}`, {
    fix: `rename it to ${TRUST_FILE}`,
  });
}
