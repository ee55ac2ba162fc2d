import { fromRaw } from '@lkt/oci';
import { ALLOW_ANNOTATION } from '../runtime/spec.ts';
import type { Root } from './merge.ts';
import { contentText } from './part.ts';

/** The part of a container's `config.json` that opens what init closes by default. */
interface Spec {
  readonly annotations?: Readonly<Record<string, string>>;
  readonly process?: { readonly capabilities?: { readonly bounding?: readonly string[] } };
  readonly mounts?: readonly { readonly source?: string; readonly options?: readonly string[] }[];
  readonly linux?: {
    readonly namespaces?: readonly { readonly type: string; readonly path?: string }[];
    readonly seccomp?: unknown;
  };
}

/** Capabilities with which a process can enter the mount namespace of kernel threads (setns(2)). */
const ENTERS_NAMESPACES = ['CAP_SYS_ADMIN', 'CAP_SYS_CHROOT', 'CAP_SYS_PTRACE'];

/**
 * Returns a line for each container that may do more than the defaults: its words of `allow`,
 * whether it has its own filter of system calls, and whether it can write the files of the image,
 * which `layout: erofs` prevents.
 */
export async function allowancesOf(
  { entries, parts }: Root,
  layout: string | undefined,
): Promise<readonly string[]> {
  const lines: string[] = [];
  for (const { path, part, content } of entries.values()) {
    const [, place] = /^containers\/([^/]+\/[^/]+)\/config\.json$/.exec(path) ?? [];
    const contents = parts[part]?.contents;
    if (place === undefined || content === undefined || contents === undefined) continue;
    const spec = JSON.parse(await contentText(contents, content)) as Spec;
    const { annotations, linux } = spec;
    const words = (annotations?.[ALLOW_ANNOTATION] ?? '').split(' ').filter((word) => word !== '');
    const mayEnter = words.includes('namespaces') || linux?.seccomp !== undefined;
    if (linux?.seccomp !== undefined) words.push('its own seccomp');
    if (layout !== 'erofs' && mayEnter && entersKernelThreads(spec))
      words.push('write the files of the image (not with "layout: erofs")');
    if (words.length > 0) lines.push(`${fromRaw(place)}: ${words.join(', ')}`);
  }
  return lines;
}

/**
 * Reports whether a container that may call setns(2) sees the kernel threads, and has the
 * capabilities to enter their mount namespace. An initramfs is its root, writable.
 */
function entersKernelThreads({ process, mounts = [], linux }: Spec): boolean {
  const bounding = process?.capabilities?.bounding ?? [];
  if (!ENTERS_NAMESPACES.every((name) => bounding.includes(name))) return false;
  const pid = linux?.namespaces?.find(({ type }) => type === 'pid');
  if (pid === undefined || pid.path !== undefined) return true;
  return mounts.some(
    ({ source = '', options = [] }) =>
      options.some((option) => option === 'bind' || option === 'rbind') &&
      /^\/(?:$|proc(?:\/|$))/.test(source),
  );
}
