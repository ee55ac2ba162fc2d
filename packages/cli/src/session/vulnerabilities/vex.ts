import { join, resolve } from 'node:path';
import { exists } from '@lkt/oci/files';
import type { VexStatement } from '@lkt/vulns';
import { workspaceAt } from '../build-tools.ts';
import { parseJsonFile } from '../json-file.ts';
import type { Session } from '../session.ts';

const VEX_FILE = '.vex.json';

/**
 * Reads OpenVEX documents: the given files, else `.vex.json` at the top of the checkout, if it
 * exists.
 * @throws NOT_FOUND, CONFIG_INVALID
 */
export async function vexStatements(
  session: Session,
  files: readonly string[] | undefined,
): Promise<readonly VexStatement[]> {
  const { parseOpenVex } = await import('@lkt/vulns');
  const { cwd } = session.environment;
  const paths = files?.map((file) => ({ path: resolve(cwd, file), name: file }));
  const statements: VexStatement[] = [];
  for (const { path, name } of paths ?? (await ownFiles(session)))
    statements.push(...parseOpenVex(await parseJsonFile(path, name), name));
  return statements;
}

async function ownFiles(
  session: Session,
): Promise<readonly { readonly path: string; readonly name: string }[]> {
  const workspace = await workspaceAt(session, session.environment.cwd);
  const path = join(workspace.root, VEX_FILE);
  return exists(path) ? [{ path, name: workspace.displayPath(path) }] : [];
}
