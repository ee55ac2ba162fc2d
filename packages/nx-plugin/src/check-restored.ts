import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join, normalize } from 'node:path';
import { text } from 'node:stream/consumers';
import type { PostTasksExecutionContext } from '@nx/devkit';
import { isErrno } from '@lkt/core';
import { buildArguments, shellCommand } from './command.ts';
import type { Settings } from './options.ts';
import { PlainError } from './plain-error.ts';
import { writeJson } from './write-json.ts';

/** Hashes of the tasks whose layouts were checked, in the directory of layouts. */
const CHECKED = '.checked.json';

type Checked = Readonly<Record<string, string>>;

/**
 * Makes lkt check the packages that Nx restored from its cache. lkt imports a valid layout into the
 * store; it rejects an invalid one with a warning and builds the package. Each is checked once;
 * packages that were built here are not checked.
 * @throws PlainError with lkt's messages if a package cannot be imported or built
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
  if (restored.size > 0) await importRestored(settings, workspaceRoot, [...restored]);
  if (JSON.stringify(checked) !== JSON.stringify(known)) await writeJson(path, checked);
}

/** Builds packages, which imports their layouts, and prints lkt's warnings. */
async function importRestored(
  settings: Settings,
  workspaceRoot: string,
  dirs: readonly string[],
): Promise<void> {
  const args = [...buildArguments(settings), '--progress', 'json', ...dirs];
  const child = spawn(shellCommand(settings.lkt, args), {
    cwd: workspaceRoot,
    shell: true,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const [output, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
  const lines = output.split('\n').flatMap(plainLine);
  if (code !== 0)
    throw new PlainError(['the restored packages cannot be used', ...lines].join('\n'));
  if (lines.length > 0) process.stderr.write(`${lines.join('\n')}\n`);
}

/** Returns warnings, and lines that are not progress events. */
function plainLine(line: string): readonly string[] {
  if (!line.startsWith('{')) return line === '' ? [] : [line];
  const event = JSON.parse(line) as { readonly kind: string; readonly text?: string };
  return event.kind === 'warning' ? [`warning: ${event.text ?? ''}`] : [];
}

async function readChecked(path: string): Promise<Checked> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Checked;
  } catch (error) {
    // A crash may have truncated the file.
    if (isErrno(error, 'ENOENT', 'ENOTDIR') || error instanceof SyntaxError) return {};
    throw error;
  }
}
