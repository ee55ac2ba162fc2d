import type { Mount } from './ast.ts';
import { type CopyContext, resolvePath } from './copy-step.ts';
import { placeError } from './source-text.ts';
import type { Origin, ResolvedMount } from './steps.ts';

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

/**
 * Expands a mount and fills in the defaults of its type.
 * @param index which mount of its instruction it is; the socket of an ssh mount is named by it.
 */
export function evaluateMount(mount: Mount, index: number, context: CopyContext): ResolvedMount {
  const { flag, type } = mount;
  const expand = (text: string | undefined): string | undefined =>
    text === undefined ? undefined : context.reader.text(flag, text, context.variables);
  const number = (name: string, text: string | undefined, pattern: RegExp, radix: number) => {
    const value = expand(text);
    if (value === undefined) return undefined;
    if (pattern.test(value)) return Number.parseInt(value, radix);
    throw placeError(
      context.dockerfile.file,
      flag,
      `"${value}" is no value for ${name} of --mount`,
    );
  };
  const written = expand(mount.target);
  const id = expand(mount.id);
  const env = expand(mount.env);
  const target = mountTarget(mount, index, context, { written, id, env });
  const defaultOrigin: Origin = type === 'bind' ? { kind: 'context' } : { kind: 'scratch' };
  return {
    type,
    position: flag.position,
    from: mount.from === undefined ? defaultOrigin : context.origin(mount.from),
    source: resolvePath('/', expand(mount.source) ?? '/'),
    target,
    readOnly: mount.readOnly,
    id: id ?? defaultId(mount, target),
    sharing: mount.sharing,
    required: mount.required,
    env,
    mode: number('mode', mount.mode, /^[0-7]{1,4}$/, 8),
    uid: number('uid', mount.uid, /^\d{1,9}$/, 10),
    gid: number('gid', mount.gid, /^\d{1,9}$/, 10),
    size: sizeInBytes(mount, expand(mount.size), context),
  };
}

function mountTarget(
  mount: Mount,
  index: number,
  context: CopyContext,
  facts: { written: string | undefined; id: string | undefined; env: string | undefined },
): string | undefined {
  if (facts.written !== undefined || (mount.type !== 'secret' && mount.type !== 'ssh')) {
    const target = resolvePath(context.workdir, facts.written ?? '');
    if (target !== '/') return target;
    throw placeError(
      context.dockerfile.file,
      mount.flag,
      'a mount cannot take the place of the root directory',
      'add target=DIRECTORY',
    );
  }
  if (mount.type === 'ssh') return `/run/buildkit/ssh_agent.${index}`;
  return facts.env === undefined ? resolvePath('/run/secrets', facts.id ?? '') : undefined;
}

function defaultId(mount: Mount, target: string | undefined): string {
  if (mount.type === 'ssh') return 'default';
  if (mount.type === 'secret') return (target ?? '').split('/').at(-1) ?? '';
  return target ?? '';
}

function sizeInBytes(
  mount: Mount,
  text: string | undefined,
  context: CopyContext,
): number | undefined {
  if (text === undefined) return undefined;
  const match = /^(\d{1,12})([kmg]?)b?$/i.exec(text);
  const unit = UNITS[(match?.[2] ?? '').toLowerCase()];
  if (match !== null && unit !== undefined) return Number(match[1]) * unit;
  throw placeError(
    context.dockerfile.file,
    mount.flag,
    `"${text}" is no size`,
    'write it in bytes, or as 100k, 100m, 1g',
  );
}
