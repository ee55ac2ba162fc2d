import { posix } from 'node:path';
import type { Mount } from '../parse/ast.ts';
import { resolvePath } from '../copy/source-tree.ts';
import type { CopyContext } from './copy-step.ts';
import { parseMount } from '../parse/mount.ts';
import type { Origin, ResolvedMount } from './steps.ts';

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

/**
 * Expands a mount and fills in the defaults of its type.
 * @param index the number of ssh mounts before this one in the instruction; names the default
 * socket
 * @throws DOCKERFILE_INVALID for invalid values
 */
export function evaluateMount(written: Mount, index: number, context: CopyContext): ResolvedMount {
  const { flag } = written;
  const mount = parseMount(flag, context.source, (text) =>
    context.reader.text(flag, text, context.variables),
  );
  const { type = 'bind' } = mount;
  const number = (
    name: 'mode' | 'uid' | 'gid',
    pattern: RegExp,
    radix: number,
  ): number | undefined => {
    const text = mount[name];
    if (text === undefined) return undefined;
    if (pattern.test(text)) return Number.parseInt(text, radix);
    throw context.source.error(
      flag,
      `"${text}" is not a valid value for the --mount option ${name}`,
    );
  };
  const target = mountTarget(mount, index, context);
  const defaultOrigin: Origin = type === 'bind' ? { kind: 'context' } : { kind: 'scratch' };
  return {
    type,
    position: flag.position,
    from: mount.from === undefined ? defaultOrigin : context.origin(mount.from),
    source: resolvePath('/', mount.source ?? '/'),
    target,
    readOnly: mount.readOnly,
    id: mount.id ?? defaultId(mount, target),
    sharing: mount.sharing,
    required: mount.required,
    env: mount.env,
    mode: number('mode', /^[0-7]{1,4}$/, 8),
    uid: number('uid', /^\d{1,9}$/, 10),
    gid: number('gid', /^\d{1,9}$/, 10),
    size: sizeInBytes(mount, context),
  };
}

function mountTarget(mount: Mount, index: number, context: CopyContext): string | undefined {
  if (mount.target !== undefined || (mount.type !== 'secret' && mount.type !== 'ssh')) {
    const target = resolvePath(context.workdir, mount.target ?? '');
    if (target !== '/') return target;
    throw context.source.error(
      mount.flag,
      'a mount cannot replace the root directory',
      'add target=DIRECTORY',
    );
  }
  if (mount.type === 'ssh') return `/run/buildkit/ssh_agent.${index}`;
  return mount.env === undefined ? resolvePath('/run/secrets', mount.id ?? '') : undefined;
}

function defaultId(mount: Mount, target: string | undefined): string {
  if (mount.type === 'ssh') return 'default';
  if (mount.type === 'secret') return (target ?? '').split('/').at(-1) ?? '';
  // As in BuildKit, the target as written: a relative one names the same cache in any directory.
  return posix.normalize(mount.target ?? '').replace(/(?<=.)\/$/, '');
}

function sizeInBytes(mount: Mount, context: CopyContext): number | undefined {
  if (mount.size === undefined) return undefined;
  const match = /^(\d{1,12})([kmg]?)b?$/i.exec(mount.size);
  const unit = UNITS[(match?.[2] ?? '').toLowerCase()];
  if (match !== null && unit !== undefined) return Number(match[1]) * unit;
  throw context.source.error(
    mount.flag,
    `"${mount.size}" is not a size`,
    'write it in bytes, or as 100k, 100m, 1g',
  );
}
