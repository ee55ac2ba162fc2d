import { mkdir, symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { LktError } from '@lkt/core';
import type { BuildRequest, Credentials } from '@lkt/builder';

const DIRECTORY = 'credentials';

/**
 * Passes secrets and agents to the client program: files and sockets as symlinks, values in
 * variables. The command line, which every user of the machine can read, has only their names.
 * @throws UNSUPPORTED for an id that the command line cannot carry
 */
export async function stageCredentials(
  directory: string,
  { secrets, ssh }: Credentials,
  given: Pick<BuildRequest, 'secrets'>,
): Promise<{
  readonly words: readonly string[];
  readonly variables: Readonly<Record<string, string>>;
}> {
  const words: string[] = [];
  const variables: Record<string, string> = {};
  await mkdir(join(directory, DIRECTORY));
  const link = async (target: string): Promise<string> => {
    const name = `${DIRECTORY}/${words.length}`;
    await symlink(resolve(target), join(directory, name));
    return name;
  };
  for (const id of secrets.keys()) {
    const source = given.secrets?.get(id);
    if (source === undefined) continue;
    checkId(id);
    if (source.kind === 'file') {
      words.push('--secret', `id=${id},src=${await link(source.path)}`);
    } else {
      const name = `LKT_SECRET_${words.length}`;
      variables[name] = source.value;
      words.push('--secret', `id=${id},env=${name}`);
    }
  }
  for (const [id, socket] of ssh) {
    checkId(id);
    words.push('--ssh', `${id}=${await link(socket)}`);
  }
  return { words, variables };
}

function checkId(id: string): void {
  if (/^[\w./:-]+$/.test(id)) return;
  throw new LktError('UNSUPPORTED', `"${id}" is not a valid secret id for BuildKit`, {
    fix: 'use letters, digits, and _ . / : -',
  });
}
