import { isErrno, LktError } from '@lkt/core';
import { overrides, settingVariables } from './config.ts';

/** The variables of the process, of which git gets those it may have. */
export type Environment = Readonly<Record<string, string | undefined>>;

interface GitOptions {
  /** Added to the environment. */
  readonly env?: Environment;
  /** `name=value` pairs that win over the configuration. */
  readonly settings?: readonly string[];
  /** Exit codes that are answers, not failures. Default: only 0. */
  readonly exits?: readonly number[];
  readonly signal?: AbortSignal | undefined;
}

interface GitResult {
  /** One char per byte: names in a git tree are bytes. */
  readonly stdout: string;
  readonly exit: number;
}

/**
 * Runs git the same way whatever the user's environment and configuration say about how it looks and behaves, and without
 * starting any program that a repository's own configuration names.
 */
export interface Git {
  /** What it has of the environment. */
  readonly env: Environment;
  /**
   * @throws LktError TOOL_MISSING without git; GIT_FAILED, with what git said, for an exit code not in `exits`.
   */
  run(cwd: string, args: readonly string[], options?: GitOptions): Promise<GitResult>;
}

/**
 * `GIT_DIR`, `GIT_INDEX_FILE` and the like are taken away: they are set inside git hooks and would make one directory's
 * question be answered for another. What says where configuration is, and with it `safe.directory`, stays.
 */
export function createGit(env: Environment): Git {
  const base: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && (!name.startsWith('GIT_') || KEPT.test(name))) base[name] = value;
  }
  Object.assign(base, {
    LC_ALL: 'C',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_LITERAL_PATHSPECS: '1',
    GIT_NO_LAZY_FETCH: '1',
    GIT_TERMINAL_PROMPT: '0',
    // Whatever a partial clone has not fetched stays where it is, also what a program would fetch.
    GIT_ALLOW_PROTOCOL: 'none',
  });
  const safe = new Map<string, Promise<Readonly<Record<string, string>>>>();
  const safeSettings = (cwd: string): Promise<Readonly<Record<string, string>>> => {
    let found = safe.get(cwd);
    if (found === undefined) {
      found = run(base, cwd, ['config', '--list', '--show-scope', '--includes', '-z'], {}).then(
        ({ stdout }) => settingVariables(overrides(stdout), base),
      );
      safe.set(cwd, found);
    }
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

/** The commands that look at contents of the work tree, through the filters that .gitattributes names. */
const READS_FILES: ReadonlySet<string> = new Set(['add', 'diff', 'status']);

const KEPT = /^GIT_(CONFIG.*|CEILING_DIRECTORIES|DISCOVERY_ACROSS_FILESYSTEM|EXEC_PATH)$/;

const SETTINGS: readonly string[] = [
  'core.quotePath=false',
  // Each of these would have git start a program that the repository names.
  'core.fsmonitor=false',
  'core.hooksPath=/dev/null',
  // Files that a repository tracks may look like a bare repository, with a configuration of their own.
  'safe.bareRepository=explicit',
];

const OUTPUT_LIMIT = 256 * 1024 * 1024;

async function run(
  env: Readonly<Record<string, string>>,
  cwd: string,
  args: readonly string[],
  options: GitOptions,
): Promise<GitResult> {
  // Where nothing has changed there is no need for it.
  const { spawn } = await import('node:child_process');
  const settings = [...SETTINGS, ...(options.settings ?? [])].flatMap((item) => ['-c', item]);
  const child = spawn('git', [...settings, ...args], {
    cwd,
    env: { ...env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    signal: options.signal,
  });
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? -1));
  });
  try {
    const [stdout, stderr, exit] = await Promise.all([
      collect(child.stdout),
      collect(child.stderr),
      ended,
    ]);
    if (exit === 0 || (options.exits ?? []).includes(exit)) return { stdout, exit };
    throw gitFailure(args, stderr);
  } catch (error) {
    child.kill();
    if (isErrno(error, 'ENOENT')) throw missing(cwd, error);
    throw error;
  }
}

async function collect(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.length;
    if (size > OUTPUT_LIMIT) throw new LktError('GIT_FAILED', 'git says more than 256 MiB');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('latin1');
}

function gitFailure(args: readonly string[], stderr: string): LktError {
  const said = Buffer.from(stderr, 'latin1').toString().trim();
  const first = said.split('\n')[0] ?? '';
  // Git's own answer to a repository of another user is the command that allows it.
  const command = /git config --global --add safe\.directory .*/.exec(said)?.[0];
  return new LktError(
    'GIT_FAILED',
    `git ${args[0] ?? ''}: ${first.replace(/^fatal: /, '') || 'failed'}`,
    {
      detail: said,
      fix: command === undefined ? undefined : `run: ${command}`,
    },
  );
}

/** `spawn` gives ENOENT for a missing program and for a missing working directory. */
function missing(cwd: string, cause: unknown): LktError {
  return new LktError('TOOL_MISSING', `git cannot be started in ${cwd}`, {
    cause,
    fix: 'install it: apt-get install git',
  });
}
