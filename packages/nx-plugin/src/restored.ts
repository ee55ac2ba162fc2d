import { spawn } from 'node:child_process';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join, normalize } from 'node:path';
import { text } from 'node:stream/consumers';
import type { PostTasksExecutionContext } from '@nx/devkit';
import { isErrno } from '@lkt/core';
import { buildWords, commandLine } from './command.ts';
import type { Settings } from './options.ts';
import { PlainError } from './plain-error.ts';

/** In the directory of layouts: the hashes of the tasks that left them as they are, as far as they are known to be whole. */
const CHECKED = '.checked.json';

type Checked = Readonly<Record<string, string>>;

/**
 * Has lkt look at the packages that Nx has restored: one that is what it says is taken into the store, one that is not is
 * refused with a warning, and built. Each is looked at once; what was built here needs no look.
 * @throws PlainError what lkt says, when a package can neither be taken nor built
 */
export async function checkRestored(
  settings: Settings,
  { taskResults, workspaceRoot }: Pick<PostTasksExecutionContext, 'taskResults' | 'workspaceRoot'>,
): Promise<void> {
  const layouts = join(settings.layouts, '/');
  const path = join(workspaceRoot, layouts, CHECKED);
  const known = await readChecked(path);
  const checked: Record<string, string> = { ...known };
  const restored = new Set<string>();
  for (const { task, status } of Object.values(taskResults)) {
    const { id, hash = '', projectRoot = '.', outputs } = task;
    if (!outputs.some((output) => normalize(output).startsWith(layouts))) continue;
    const isRestored = status === 'local-cache' || status === 'remote-cache';
    if (isRestored && known[id] !== hash) restored.add(projectRoot);
    if (isRestored || status === 'success') checked[id] = hash;
  }
  if (restored.size > 0) await look(settings, workspaceRoot, [...restored]);
  if (JSON.stringify(checked) !== JSON.stringify(known)) await writeChecked(path, checked);
}

/** Builds packages, which takes them from their layouts; what lkt warns of is said. */
async function look(
  settings: Settings,
  workspaceRoot: string,
  dirs: readonly string[],
): Promise<void> {
  const words = [...buildWords(settings), '--progress', 'json', ...dirs];
  const child = spawn(commandLine(settings.lkt, words), {
    cwd: workspaceRoot,
    shell: true,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('exit', resolve);
  });
  const [said, code] = await Promise.all([text(child.stderr), exited]);
  const lines = said.split('\n').flatMap(plainLine);
  if (code !== 0) throw new PlainError(['what was restored cannot be used', ...lines].join('\n'));
  if (lines.length > 0) process.stderr.write(`${lines.join('\n')}\n`);
}

/** Warnings, and what is no event of progress. */
function plainLine(line: string): readonly string[] {
  if (!line.startsWith('{')) return line === '' ? [] : [line];
  const event = JSON.parse(line) as { readonly kind: string; readonly text?: string };
  return event.kind === 'warning' ? [`warning: ${event.text ?? ''}`] : [];
}

async function readChecked(path: string): Promise<Checked> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Checked;
  } catch (error) {
    // What a crash has cut off says nothing.
    if (isErrno(error, 'ENOENT', 'ENOTDIR') || error instanceof SyntaxError) return {};
    throw error;
  }
}

async function writeChecked(path: string, checked: Checked): Promise<void> {
  const temporary = `${path}.${process.pid}`;
  await writeFile(temporary, `${JSON.stringify(checked, undefined, 1)}\n`);
  await rename(temporary, path);
}
