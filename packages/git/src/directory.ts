import { lstatSync, readFileSync, type Stats } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Environment } from './command.ts';

/** Where the repository of a work tree is. */
export interface GitDirectory {
  /** Top of the work tree, without symlinks if the directory it was found from had none. */
  readonly top: string;
  /** With `HEAD` and `index`. */
  readonly own: string;
  /** With `objects`, `refs` and `config`: another one in a work tree that `git worktree add` has made. */
  readonly common: string;
}

/**
 * The repository that `dir`, an absolute path without symlinks, is in, where finding it takes none of what git can do:
 * no bare repositories, no settings that move the work tree, no extensions of the format, and everything belongs to this
 * user. undefined for all else, which is for git to say.
 */
export function findGitDirectory(dir: string, env: Environment): GitDirectory | undefined {
  // It ends the search early.
  if (env['GIT_CEILING_DIRECTORIES'] !== undefined) return undefined;
  const { dev } = lstatSync(dir);
  for (let at = dir; ; at = dirname(at)) {
    // Of another filesystem git asks for a permission first.
    if (lstatSync(at).dev !== dev) return undefined;
    // In a repository, instead of in its work tree.
    if (lookAt(join(at, 'HEAD')) !== undefined) return undefined;
    const mark = lookAt(join(at, '.git'));
    if (mark !== undefined) return isMine(lstatSync(at)) ? directoryOf(at, mark) : undefined;
    if (dirname(at) === at) return undefined;
  }
}

/** The id of the commit that HEAD is; undefined if it is none, or not written in the common way. */
export function headCommit({ own, common }: GitDirectory): string | undefined {
  // It may be a symlink in old repositories.
  if (lookAt(join(own, 'HEAD'))?.isFile() !== true) return undefined;
  const head = readFileSync(join(own, 'HEAD'), 'latin1').trimEnd();
  if (ID.test(head)) return head;
  const name = /^ref: (refs\/heads\/[^\s:?*[\\~^]+)$/.exec(head)?.[1];
  if (name === undefined || name.includes('..')) return undefined;
  // Others may stand for an object.
  if (lookAt(join(common, 'refs/replace')) !== undefined) return undefined;
  const packed = readIfThere(join(common, 'packed-refs')) ?? '';
  if (packed.includes(' refs/replace/')) return undefined;
  const loose = readIfThere(join(common, name))?.trimEnd();
  if (loose !== undefined) return ID.test(loose) ? loose : undefined;
  const line = packed.split('\n').find((text) => text.slice(41) === name && text[40] === ' ');
  const id = line?.slice(0, 40) ?? '';
  return ID.test(id) ? id : undefined;
}

const ID = /^[0-9a-f]{40}$/;

function directoryOf(top: string, mark: Stats): GitDirectory | undefined {
  if (!isMine(mark)) return undefined;
  const path = join(top, '.git');
  if (mark.isDirectory()) return checked({ top, own: path, common: path });
  if (!mark.isFile()) return undefined;
  const target = /^gitdir: ([^\n]+)\n?$/.exec(readFileSync(path, 'utf8'))?.[1];
  if (target === undefined) return undefined;
  const own = resolve(top, target);
  const common = resolve(own, readFileSync(join(own, 'commondir'), 'utf8').trimEnd());
  return isMine(lstatSync(own)) && isMine(lstatSync(common))
    ? checked({ top, own, common })
    : undefined;
}

/** If it is a repository at all; else git goes on with the directories above. */
function checked(found: GitDirectory): GitDirectory | undefined {
  const { own, common } = found;
  if (lookAt(join(own, 'HEAD')) === undefined) return undefined;
  const parts = ['objects', 'refs'].map((name) => lookAt(join(common, name)));
  return parts.every((part) => part?.isDirectory() === true) && isPlain(common) ? found : undefined;
}

/** Whether its configuration is well-formed, and says nothing about where the work tree is or how things are stored. */
function isPlain(common: string): boolean {
  const config = readFileSync(join(common, 'config'), 'utf8').replaceAll(/"[^"\\\n]*"/g, '""');
  if (!config.split('\n').every((line) => CONFIG_LINE.test(line.trim()))) return false;
  if (/\b(worktree|extensions|include|includeif)\b/i.test(config)) return false;
  if (/\bbare\b(?!\s*=\s*false\s*$)/im.test(config)) return false;
  return !/\brepositoryformatversion\b(?!\s*=\s*[01]\s*$)/im.test(config);
}

/** A comment, a section or a setting, where quotes have nothing in them; not what goes on in the next line. */
const CONFIG_LINE = /^([#;].*|\[[\w.-]+( "")?\]|[a-z][\w-]*(\s*=([^"\\]|"")*)?)?$/i;

/** Git does not work in what belongs to others, unless `safe.directory` has it. */
function isMine({ uid }: Stats): boolean {
  return uid === process.geteuid?.();
}

function lookAt(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}

function readIfThere(path: string): string | undefined {
  return lookAt(path)?.isFile() === true ? readFileSync(path, 'latin1') : undefined;
}
