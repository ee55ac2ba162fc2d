import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { isErrno, LktError } from '@lkt/core';
import { overrides, settingVariables } from './config.ts';

/** The variables of the process. git receives only some of them. */
export type Environment = Readonly<Record<string, string | undefined>>;

interface GitOptions {
  /** Added to the environment. */
  readonly env?: Environment;
  /** `name=value` pairs that override the configuration. */
  readonly settings?: readonly string[];
  /** Exit codes that do not throw, besides 0. */
  readonly exits?: readonly number[];
  readonly signal?: AbortSignal | undefined;
}

interface GitResult {
  /** One char per byte: names in a git tree are bytes. */
  readonly stdout: string;
  readonly exit: number;
}

/**
 * Runs git with the same behavior for any configuration of the user, and never starts a program
 * that a repository's own configuration names.
 */
export interface Git {
  /** The environment of git. */
  readonly env: Environment;
  /**
   * Runs a git command in `cwd` and returns its output.
   * @throws TOOL_MISSING if git is not installed
   * @throws GIT_FAILED, with git's error message, for an exit code not in `exits`
   */
  run(cwd: string, args: readonly string[], options?: GitOptions): Promise<GitResult>;
}

/**
 * Returns a `Git` with a filtered environment. Git hooks set `GIT_DIR`, `GIT_INDEX_FILE` and
 * others, which would redirect commands to another repository, so they are removed. The variables
 * that locate configuration, and with it `safe.directory`, stay.
 * @example
 * ```ts
 * const git = createGit(process.env);
 * const { stdout } = await git.run(dir, ['rev-parse', 'HEAD']);
 * ```
 */
export function createGit(env: Environment): Git {
  const base = {
    ...variablesOf(env, KEPT_VARIABLES),
    LC_ALL: 'C',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_LITERAL_PATHSPECS: '1',
    GIT_NO_LAZY_FETCH: '1',
    // A commit has the files that its id names, not those that refs/replace names.
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_TERMINAL_PROMPT: '0',
    // Fetches nothing that a partial clone lacks, not even through a program.
    GIT_ALLOW_PROTOCOL: 'none',
  };
  const safe = new Map<string, Promise<Readonly<Record<string, string>>>>();
  const safeSettings = (cwd: string): Promise<Readonly<Record<string, string>>> => {
    const list = ['config', '--list', '--show-scope', '--includes', '-z'];
    const found =
      safe.get(cwd) ??
      run(base, cwd, list, {}).then(({ stdout }) => settingVariables(overrides(stdout), base));
    safe.set(cwd, found);
    return found;
  };
  return {
    env: base,
    async run(cwd, args, options = {}) {
      const reads = READS_FILES.has(args[0] ?? '');
      const variables = reads ? { ...base, ...(await safeSettings(cwd)) } : base;
      return run(variables, cwd, args, options);
    },
  };
}

/** Returns an environment without git's variables, except those whose names `kept` matches. */
export function variablesOf(env: Environment, kept: RegExp): Readonly<Record<string, string>> {
  const variables: Record<string, string> = {};
  for (const [name, value] of Object.entries(env))
    if (value !== undefined && (!name.startsWith('GIT_') || kept.test(name)))
      variables[name] = value;
  return variables;
}

/** The commands that read files of the work tree, through the filters that .gitattributes names. */
const READS_FILES: ReadonlySet<string> = new Set(['add', 'diff', 'status']);

const KEPT_VARIABLES = /^GIT_(CONFIG.*|CEILING_DIRECTORIES|DISCOVERY_ACROSS_FILESYSTEM|EXEC_PATH)$/;

const SETTINGS: readonly string[] = [
  'core.quotePath=false',
  // Each of these settings could start a program that the repository names.
  'core.fsmonitor=false',
  'core.hooksPath=/dev/null',
  // Tracked files may look like a bare repository with its own configuration.
  'safe.bareRepository=explicit',
  // With other values, git does not notice some changes that the build reads: of a content with the
  // same size and time, of a mode, and of a link that became a file.
  'core.trustCtime=true',
  'core.checkStat=default',
  'core.fileMode=true',
  'core.symlinks=true',
];

const MAX_OUTPUT_BYTES = 256 * 1024 * 1024;

async function run(
  env: Readonly<Record<string, string>>,
  cwd: string,
  args: readonly string[],
  options: GitOptions,
): Promise<GitResult> {
  // Loaded late: unchanged checkouts never need it.
  const { spawn } = await import('node:child_process');
  const settings = [...SETTINGS, ...(options.settings ?? [])].flatMap((item) => ['-c', item]);
  const child = spawn('git', [...settings, ...args], {
    cwd,
    env: { ...env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    signal: options.signal,
  });
  try {
    const [stdout, stderr, [exit]] = (await Promise.all([
      collectOutput(child.stdout),
      collectOutput(child.stderr),
      once(child, 'close'),
    ])) as [Buffer, Buffer, [number]];
    const isExpected = exit === 0 || options.exits?.includes(exit) === true;
    if (!isExpected) throw gitError(args, stderr.toString());
    requireDirectories(stderr.toString());
    return { stdout: stdout.toString('latin1'), exit };
  } catch (error) {
    child.kill();
    if (isErrno(error, 'ENOENT')) throw startFailure(cwd, error);
    throw error;
  }
}

/**
 * Git leaves out the files of a directory that it cannot open, with a warning.
 * @throws GIT_FAILED for such a directory
 */
function requireDirectories(stderr: string): void {
  // Git cuts a long warning.
  const [, path] = /^warning: could not open directory '(.*?)(?:': .*)?$/m.exec(stderr) ?? [];
  if (path === undefined) return;
  throw new LktError('GIT_FAILED', `git cannot open a directory: ${path}`, {
    detail: stderr.trim(),
    fix: 'make it readable, or let git ignore it',
  });
}

/** @throws GIT_FAILED for more than 256 MiB of output */
export async function collectOutput(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.length;
    if (size > MAX_OUTPUT_BYTES) throw new LktError('GIT_FAILED', 'git printed more than 256 MiB');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Returns the error for a failed command, with git's error message. */
export function gitError(args: readonly string[], stderr: string): LktError {
  const detail = stderr.trim();
  const lines = detail.split('\n');
  const main = lines.find((line) => line.startsWith('fatal: ')) ?? lines[0] ?? '';
  // For a repository of another user, git prints the command that allows it.
  const command = /git config --global --add safe\.directory .*/.exec(detail)?.[0];
  const message = `git ${args[0] ?? ''}: ${main.replace(/^fatal: /, '') || 'failed'}`;
  const isBare = message.includes('(safe.bareRepository is ');
  const isWhole = command !== undefined || lines.length === 1;
  return new LktError('GIT_FAILED', message, {
    detail: isWhole ? undefined : detail,
    fix:
      command !== undefined
        ? `run: ${command}`
        : isBare
          ? 'run lkt in a clone with a work tree: git clone or git worktree add'
          : undefined,
  });
}

/** `spawn` throws ENOENT for a missing program and for a missing working directory. */
function startFailure(cwd: string, cause: unknown): LktError {
  if (!existsSync(cwd)) return new LktError('NOT_FOUND', `there is no directory ${cwd}`, { cause });
  return new LktError('TOOL_MISSING', `git cannot be started in ${cwd}`, {
    cause,
    fix: 'install it: apt-get install git',
  });
}
