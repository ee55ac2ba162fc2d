import { spawn } from 'node:child_process';
import { chmod, cp, mkdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** A txtar archive (golang.org/x/tools/txtar): a comment, here a script, and its initial files. */
export interface Archive {
  readonly script: string;
  readonly files: ReadonlyMap<string, string>;
}

export function parseArchive(text: string): Archive {
  const [script = '', ...rest] = text.split(/^-- (.+?) --\n/m);
  const files = new Map<string, string>();
  for (let i = 0; i < rest.length; i += 2) files.set(rest[i] ?? '', rest[i + 1] ?? '');
  return { script, files };
}

export interface ScriptOptions {
  /** An empty directory: the script's home and working directory. */
  readonly dir: string;
  /** Words that are run as these programs, such as `lkt`. */
  readonly commands: Readonly<Record<string, readonly string[]>>;
  readonly env: Readonly<Record<string, string>>;
}

interface State {
  cwd: string;
  readonly env: Record<string, string>;
  stdout: string;
  stderr: string;
  status: number;
}

/**
 * Runs a script line by line. Blanks separate arguments; `'…'` quotes an argument with blanks.
 * `$NAME` is a variable, `$WORK` the directory. `#` begins a comment. `! ` before a line means that
 * it must fail.
 *
 * - `exec PROGRAM ARG…`, or one of `commands`: runs it. `! lkt …` expects an exit code other than
 *   0.
 * - `status N`: checks the exit code of the last program.
 * - `stdout REGEX`, `stderr REGEX`: checks the output of the last program. The expression is the
 *   rest of the line, and `^` and `$` match at each line.
 * - `cmp FILE FILE` (one may be `stdout`), `grep FILE REGEX`, `exists PATH…`
 * - `env NAME=VALUE`, `cd DIR`, `cp FROM TO`, `rm PATH…`, `mkdir DIR…`, `chmod MODE PATH`,
 *   `ln TARGET PATH`
 * - `write FILE TEXT`, `append FILE TEXT`, `replace FILE OLD NEW`
 * - `save NAME`: stores standard output in a variable.
 *
 * @throws Error with the line and the output of the last program
 */
export async function runArchive(archive: Archive, options: ScriptOptions): Promise<void> {
  const { dir, commands } = options;
  for (const [name, text] of archive.files) {
    await mkdir(dirname(join(dir, name)), { recursive: true });
    await writeFile(join(dir, name), text);
  }
  const state: State = {
    cwd: dir,
    env: { ...options.env, HOME: dir, WORK: dir },
    stdout: '',
    stderr: '',
    status: 0,
  };
  for (const [index, raw] of archive.script.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const negated = line.startsWith('! ');
    const problem = await runLine(negated ? line.slice(2).trim() : line, negated, state, commands);
    if (problem === undefined) continue;
    const { stdout, stderr, status } = state;
    throw new Error(
      `line ${index + 1}: ${line}\n  ${problem}\n--- status ${status}\n--- stdout\n${stdout}--- stderr\n${stderr}`,
    );
  }
}

/** Returns the problem with a line, or undefined. */
async function runLine(
  line: string,
  negated: boolean,
  state: State,
  commands: ScriptOptions['commands'],
): Promise<string | undefined> {
  const [verb = '', ...args] = words(line, state.env);
  const rest = line.slice(verb.length).trim();
  if (verb === 'exec' || commands[verb] !== undefined) {
    await execute([...(commands[verb] ?? []), ...args], state);
    if ((state.status === 0) === negated) return `it ended with status ${state.status}`;
    return undefined;
  }
  const check = CHECKS[verb];
  if (check !== undefined) {
    const holds = await check({ args, rest, state });
    if (holds === negated) return negated ? 'it holds' : 'it does not contain';
    return undefined;
  }
  const action = ACTIONS[verb];
  if (action === undefined || negated) return 'unknown command';
  await action({ args, rest, state });
  return undefined;
}

interface Call {
  readonly args: readonly string[];
  readonly rest: string;
  readonly state: State;
}

const CHECKS: Readonly<Record<string, (call: Call) => boolean | Promise<boolean>>> = {
  status: ({ args: [wanted], state }) => Number(wanted) === state.status,
  stdout: ({ rest, state }) => regex(rest, state).test(state.stdout),
  stderr: ({ rest, state }) => regex(rest, state).test(state.stderr),
  grep: async ({ args: [file = ''], rest, state }) =>
    regex(rest.slice(rest.indexOf(' ') + 1), state).test(
      await readFile(join(state.cwd, file), 'utf8'),
    ),
  cmp: async ({ args: [one = '', two = ''], state }) =>
    Buffer.compare(await content(one, state), await content(two, state)) === 0,
  exists: async ({ args, state }) => {
    for (const path of args) {
      const found = await stat(join(state.cwd, path)).then(
        () => true,
        () => false,
      );
      if (!found) return false;
    }
    return true;
  },
};

const ACTIONS: Readonly<Record<string, (call: Call) => Promise<unknown> | undefined>> = {
  env: ({ args, state }) => {
    for (const setting of args) {
      const [name = '', ...value] = setting.split('=');
      state.env[name] = value.join('=');
    }
    return undefined;
  },
  cd: ({ args: [path = ''], state }) => {
    state.cwd = join(state.cwd, path);
    return undefined;
  },
  save: ({ args: [name = ''], state }) => {
    state.env[name] = state.stdout.trim();
    return undefined;
  },
  cp: ({ args: [from = '', to = ''], state }) =>
    cp(join(state.cwd, from), join(state.cwd, to), { recursive: true }),
  rm: ({ args, state }) =>
    Promise.all(args.map((path) => rm(join(state.cwd, path), { recursive: true, force: true }))),
  mkdir: ({ args, state }) =>
    Promise.all(args.map((path) => mkdir(join(state.cwd, path), { recursive: true }))),
  chmod: ({ args: [mode = '', path = ''], state }) =>
    chmod(join(state.cwd, path), Number.parseInt(mode, 8)),
  ln: ({ args: [target = '', path = ''], state }) => symlink(target, join(state.cwd, path)),
  write: ({ args: [path = '', text = ''], state }) => writeFile(join(state.cwd, path), `${text}\n`),
  append: ({ args: [path = '', text = ''], state }) =>
    writeFile(join(state.cwd, path), `${text}\n`, { flag: 'a' }),
  replace: async ({ args: [path = '', from = '', to = ''], state }) => {
    const file = join(state.cwd, path);
    const text = await readFile(file, 'utf8');
    if (!text.includes(from)) throw new Error(`${path} does not contain ${from}`);
    await writeFile(file, text.replaceAll(from, to));
  },
};

async function execute(command: readonly string[], state: State): Promise<void> {
  const [program = '', ...args] = command;
  const child = spawn(program, args, {
    cwd: state.cwd,
    env: state.env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  state.stdout = '';
  state.stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    state.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    state.stderr += text;
  });
  state.status = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? (signal === null ? 1 : 128)));
  });
}

/** A script's regular expression: variables stand for their text as it is. */
function regex(source: string, state: State): RegExp {
  const text = source.replaceAll(/\$([A-Z_]+)\b/g, (whole, name: string) => {
    const value = state.env[name];
    return value === undefined ? whole : value.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
  });
  return new RegExp(text, 'm');
}

function content(name: string, state: State): Promise<Buffer> | Buffer {
  if (name === 'stdout' || name === 'stderr') return Buffer.from(state[name]);
  return readFile(join(state.cwd, name));
}

function words(line: string, env: Readonly<Record<string, string>>): readonly string[] {
  return [...line.matchAll(/(?:'[^']*'|[^\s'])+/g)].map(([word]) =>
    word
      .split(/('[^']*')/)
      .map((part) =>
        part.startsWith("'")
          ? part.slice(1, -1)
          : part.replaceAll(/\$([A-Z_]+)\b/g, (whole, name: string) => env[name] ?? whole),
      )
      .join(''),
  );
}
