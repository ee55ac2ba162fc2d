import { resolve } from 'node:path';
import type { SecretSource } from '@lkt/builder';
import { LktError } from '@lkt/core';

type Variables = Readonly<Record<string, string | undefined>>;

/**
 * Parses `--secret` into secrets by id. A value is `id=ID,src=FILE`, `id=ID,env=NAME`, or `id=ID`
 * for the variable ID.
 * @throws LktError USAGE_INVALID
 */
export function secretFlags(
  flags: readonly string[],
  variables: Variables,
  cwd: string,
): ReadonlyMap<string, SecretSource> {
  const secrets = new Map<string, SecretSource>();
  for (const text of flags) {
    const fields = new Map<string, string>();
    for (const field of text.split(',')) {
      const equals = field.indexOf('=');
      const name = equals === -1 ? field : field.slice(0, equals);
      const key = name === 'source' ? 'src' : name;
      if (!['id', 'src', 'env', 'type'].includes(key) || equals === -1 || fields.has(key))
        throw invalid(text);
      fields.set(key, field.slice(equals + 1));
    }
    const [id, src, env, type] = ['id', 'src', 'env', 'type'].map((key) => fields.get(key));
    if (id === undefined || id === '' || secrets.has(id)) throw invalid(text);
    if ((src !== undefined && env !== undefined) || src === '' || env === '') throw invalid(text);
    if (type !== undefined && type !== (src === undefined ? 'env' : 'file')) throw invalid(text);
    secrets.set(
      id,
      src === undefined
        ? { kind: 'env', value: variable(env ?? id, variables, `--secret ${text}`) }
        : { kind: 'file', path: resolve(cwd, src) },
    );
  }
  return secrets;
}

/**
 * Parses `--ssh` into sockets by id. `default` alone is the user's agent.
 * @throws LktError USAGE_INVALID
 */
export function sshFlags(
  flags: readonly string[],
  variables: Variables,
  cwd: string,
): ReadonlyMap<string, string> {
  const sockets = new Map<string, string>();
  for (const text of flags) {
    const [, id = '', socket] = /^([^=]+)(?:=(.+))?$/.exec(text) ?? [];
    if (id === '' || sockets.has(id) || (socket === undefined && id !== 'default')) {
      throw new LktError('USAGE_INVALID', `--ssh: "${text}" is invalid or repeated`, {
        fix: 'write --ssh default, or --ssh ID=SOCKET',
      });
    }
    const path = socket ?? variable('SSH_AUTH_SOCK', variables, `--ssh ${text}`);
    sockets.set(id, resolve(cwd, path));
  }
  return sockets;
}

function variable(name: string, variables: Variables, flag: string): string {
  const value = variables[name];
  if (value !== undefined) return value;
  throw new LktError('USAGE_INVALID', `${flag}: the variable ${name} is not set`, {
    fix: `run: export ${name}=VALUE`,
  });
}

/** Returns an error without the given text, which may contain the secret itself. */
function invalid(text: string): LktError {
  const id = /(?:^|,)id=([^,]*)/.exec(text)?.[1];
  const which = id === undefined ? '' : ` for "${id}"`;
  return new LktError('USAGE_INVALID', `a --secret${which} is invalid or repeated`, {
    fix: 'write --secret id=ID,src=FILE or --secret id=ID,env=NAME',
  });
}
