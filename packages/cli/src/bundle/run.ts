/** What loads the programs of a bundle, which has it beside them, with what V8 compiled of them before. */
import { readFileSync } from 'node:fs';
import { createRequire, getCompileCacheDir, Module } from 'node:module';
import { basename, join } from 'node:path';
import { Script } from 'node:vm';
import { setFlag, withFlagsOfStart } from '@lkt/core/v8-flags';
import { CompiledCode } from './compiled-code.ts';

/**
 * Runs a program of the bundle.
 * @param commands names of commands that the program has, if it has some: each loads other parts of it
 * @returns what the program exports
 */
export function run(main: string, commands: readonly string[] = []): unknown {
  const directory = import.meta.dirname;
  const cache = getCompileCacheDir();
  const [first = '', second = ''] = process.argv.slice(2);
  const command = [`${first}:${second}`, first].find((name) => commands.includes(name));
  const program = command === undefined ? main : `${main}-${command.replace(':', '-')}`;
  const code =
    cache === undefined ? undefined : new CompiledCode(cache, basename(directory), program);
  const loader = new Loader(directory, code);
  if (code !== undefined) process.once('exit', () => loader.keep(code));
  return loader.load(join(directory, `${main}.cjs`));
}

/**
 * Runs a program that exports `done`, a promise, and ends the process when that is settled: where nothing is waited for any
 * more, such as a slow reader of what it said, Node would only take itself apart, for 10 ms.
 */
export async function runToTheEnd(main: string, commands: readonly string[]): Promise<void> {
  const { done } = run(main, commands) as { readonly done: Promise<unknown> };
  await done;
  if (process.getActiveResourcesInfo().length === 0) process.exit();
}

/** Loads files of a directory as Node does, by which they can be loaded too; each is loaded once. */
class Loader {
  readonly #directory: string;
  readonly #code: CompiledCode | undefined;
  /** Whose code is to be kept. */
  readonly #kept = new Map<string, Script>();
  readonly #native: NodeJS.Require;
  readonly #require: NodeJS.Require;

  constructor(directory: string, code: CompiledCode | undefined) {
    this.#directory = directory;
    this.#code = code;
    this.#native = createRequire(join(directory, 'run.cjs'));
    const own = (id: string): unknown =>
      id.startsWith('./')
        ? this.load(join(directory, id))
        : withFlagsOfStart((): unknown => this.#native(id));
    this.#require = Object.assign(own, this.#native);
  }

  load(path: string): unknown {
    const { cache } = this.#native;
    const known = cache[path];
    if (known !== undefined) return known.exports;
    const module = new Module(path);
    module.filename = path;
    cache[path] = module;
    try {
      const start = this.#compile(path).runInThisContext() as Start;
      start.call(module.exports, module.exports, this.#require, module, path, this.#directory);
      module.loaded = true;
    } finally {
      if (!module.loaded) delete cache[path];
    }
    return module.exports;
  }

  /** Keeps what was compiled for the next time, if that is more than before. */
  keep(code: CompiledCode): void {
    if (this.#kept.size === 0) return;
    withFlagsOfStart(() =>
      code.write([...this.#kept].map(([file, script]) => [file, script.createCachedData()])),
    );
  }

  /** Until then V8 is not to forget what is called once, as that which loads a file: without it all of the file is parsed. */
  #keepLater(file: string, script: Script): void {
    if (this.#kept.size === 0) setFlag('--no-flush-bytecode', '--flush-bytecode');
    this.#kept.set(file, script);
  }

  #compile(path: string): Script {
    const file = basename(path);
    const cachedData = this.#code?.of(file);
    // A first line for the shell would stand behind the start of a function.
    const text = readFileSync(path, 'utf8').replace(/^#!/, '//');
    const script = withFlagsOfStart(
      () =>
        new Script(`(function (exports, require, module, __filename, __dirname) {${text}\n})`, {
          filename: path,
          cachedData,
        }),
    );
    const isNew = cachedData === undefined || script.cachedDataRejected === true;
    if (this.#code !== undefined && (isNew || this.#code.mayGrow)) this.#keepLater(file, script);
    return script;
  }
}

type Start = (
  this: unknown,
  exports: unknown,
  require: NodeJS.Require,
  module: NodeJS.Module,
  filename: string,
  dirname: string,
) => void;
