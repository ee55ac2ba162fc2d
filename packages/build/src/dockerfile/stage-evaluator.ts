import type { LktError } from '@lkt/core';
import type { ContainerConfig } from '@lkt/oci';
import type {
  Command,
  HealthcheckInstruction,
  Instruction,
  ListInstruction,
  Place,
  RunInstruction,
  Word,
} from './ast.ts';
import { type CopyContext, evaluateCopy, resolvePath } from './copy-step.ts';
import { evaluateMount } from './mount-step.ts';
import { exposedPorts } from './ports.ts';
import { isSignal } from './signals.ts';
import { runCommand } from './run-command.ts';
import { PROXY_ARGS, type WordReader } from './scope.ts';
import type { SourceText } from './source-text.ts';
import type { ResolvedStage, StageGraph } from './stages.ts';
import type { RunStep, StagePlan, Step } from './steps.ts';
import { triggerError, triggerText } from './triggers.ts';

/** What a stage hands on to the stages that are FROM it. */
export interface StageState {
  readonly config: ContainerConfig;
  readonly author: string | undefined;
  /** Variables and declared arguments that have a value. */
  readonly variables: ReadonlyMap<string, string>;
}

export interface StageContext {
  readonly reader: WordReader;
  readonly graph: StageGraph;
  readonly globals: ReadonlyMap<string, string>;
  readonly buildArgs: ReadonlyMap<string, string>;
  /** Of the stage this one is FROM. */
  readonly parent: StageState | undefined;
  /** Of the image this one is FROM. */
  readonly imageConfig: ContainerConfig | undefined;
}

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const EPOCH = 'SOURCE_DATE_EPOCH';
const DEFAULT_SHELL: readonly string[] = ['/bin/sh', '-c'];

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Goes through the instructions of one stage, keeping what they set up for those after them. */
export class StageEvaluator {
  readonly #source: SourceText;
  readonly #resolved: ResolvedStage;
  readonly #context: StageContext;
  readonly #config: Mutable<ContainerConfig>;
  readonly #env: Map<string, string>;
  /** Of ENV and ARG, whichever was last in this stage: as BuildKit has it, an ARG after an ENV goes before it. */
  readonly #values: Map<string, string>;
  readonly #steps: Step[] = [];
  readonly #triggers: string[] = [];
  #author: string | undefined;
  /** Whether this stage itself has a CMD: only then it survives an ENTRYPOINT. */
  #hasCommand = false;
  #variables: ReadonlyMap<string, string> | undefined;

  constructor(source: SourceText, resolved: ResolvedStage, context: StageContext) {
    this.#source = source;
    this.#resolved = resolved;
    this.#context = context;
    const inherited = context.parent?.config ?? context.imageConfig ?? {};
    const { OnBuild: _, ...config } =
      resolved.base.kind === 'scratch'
        ? { Env: [`PATH=${DEFAULT_PATH}`], WorkingDir: '/' }
        : { OnBuild: undefined, ...inherited };
    this.#config = config;
    this.#env = new Map((config.Env ?? []).map(splitVariable));
    this.#values = new Map([...(context.parent?.variables ?? []), ...this.#env]);
    // As if every stage declared it: all its commands have it.
    const epoch = context.buildArgs.get(EPOCH);
    if (epoch !== undefined) this.#values.set(EPOCH, epoch);
    this.#author = context.parent?.author;
  }

  run(): { plan: StagePlan; state: StageState } {
    const { stage, platform, base, triggers, needs } = this.#resolved;
    for (const { instruction, title } of triggers) {
      const before = this.#steps.length;
      try {
        this.#evaluate(instruction);
      } catch (error) {
        throw triggerError(error, title);
      }
      const steps = this.#steps.splice(before);
      this.#steps.push(...steps.map((step) => ({ ...step, title, isTrigger: true as const })));
    }
    for (const instruction of stage.instructions) this.#evaluate(instruction);
    const config = this.#finalConfig();
    return {
      plan: {
        index: stage.index,
        name: stage.from.name,
        position: stage.from.position,
        platform,
        base,
        steps: this.#steps,
        config,
        author: this.#author,
        baseTriggers: triggers.map(({ title, text }) => ({ title, text })),
        needs: [...new Set(needs.map(({ index }) => index))],
      },
      state: { config, author: this.#author, variables: this.#values },
    };
  }

  #evaluate(instruction: Instruction): void {
    switch (instruction.keyword) {
      case 'ARG': {
        const variables = this.#scope();
        for (const { name, value } of instruction.args) {
          this.#declare(name, value, variables);
        }
        return;
      }
      case 'ENV': {
        const variables = this.#scope();
        for (const { name, value } of instruction.pairs) {
          const key = this.#name(name, variables);
          const text = this.#context.reader.word(value, variables);
          this.#env.set(key, text);
          this.#values.set(key, text);
        }
        this.#variables = undefined;
        return;
      }
      case 'LABEL': {
        const variables = this.#scope();
        const labels = new Map(Object.entries(this.#config.Labels ?? {}));
        for (const { name, value } of instruction.pairs) {
          const key = this.#context.reader.word(name, variables);
          labels.set(key, this.#context.reader.word(value, variables));
        }
        this.#config.Labels = Object.fromEntries(labels);
        return;
      }
      case 'RUN':
        this.#steps.push(this.#run(instruction));
        return;
      case 'COPY':
      case 'ADD':
        this.#steps.push(evaluateCopy(instruction, this.#copyContext()));
        return;
      case 'WORKDIR': {
        const path = resolvePath(this.#workdir(), this.#text(instruction.path, 'WORKDIR'));
        this.#config.WorkingDir = path;
        this.#steps.push({
          kind: 'workdir',
          instruction,
          position: instruction.position,
          title: instruction.text,
          path,
          user: this.#config.User ?? '',
        });
        return;
      }
      case 'USER':
        this.#config.User = this.#text(instruction.user, 'USER');
        return;
      case 'CMD':
        this.#config.Cmd = this.#argv(instruction.command);
        this.#hasCommand = true;
        return;
      case 'ENTRYPOINT':
        this.#config.Entrypoint = this.#argv(instruction.command);
        // Reference, "Understand how CMD and ENTRYPOINT interact": the base's CMD was meant for the base's ENTRYPOINT.
        if (!this.#hasCommand) this.#config.Cmd = [];
        return;
      case 'EXPOSE':
        this.#expose(instruction);
        return;
      case 'VOLUME': {
        const volumes = new Map(Object.entries(this.#config.Volumes ?? {}));
        for (const word of instruction.values) volumes.set(this.#text(word, 'VOLUME'), {});
        this.#config.Volumes = Object.fromEntries(volumes);
        return;
      }
      case 'STOPSIGNAL':
        this.#config.StopSignal = this.#signal(instruction.signal);
        return;
      case 'SHELL':
        this.#config.Shell = instruction.argv;
        return;
      case 'HEALTHCHECK':
        this.#config.Healthcheck = healthcheck(instruction);
        return;
      case 'ONBUILD':
        this.#triggers.push(triggerText(instruction));
        return;
      case 'MAINTAINER':
        this.#author = instruction.maintainer;
        return;
      case 'FROM':
        throw new Error('a stage holds no FROM');
      default:
        instruction satisfies never;
    }
  }

  /** What variables stand for now. */
  #scope(): ReadonlyMap<string, string> {
    this.#variables ??= new Map(this.#values);
    return this.#variables;
  }

  #declare(name: string, fallback: Word | undefined, variables: ReadonlyMap<string, string>): void {
    const { buildArgs, globals, reader } = this.#context;
    const given = buildArgs.get(name);
    const value =
      given ?? (fallback === undefined ? globals.get(name) : reader.word(fallback, variables));
    if (value === undefined) return;
    this.#values.set(name, value);
    this.#variables = undefined;
  }

  #name(word: Word, variables: ReadonlyMap<string, string>): string {
    const name = this.#context.reader.word(word, variables);
    if (name === '' || name.includes('=')) {
      throw this.#error(word, `"${name}" cannot be the name of a variable`);
    }
    return name;
  }

  #text(word: Word, keyword: string): string {
    const text = this.#context.reader.word(word, this.#scope());
    if (text !== '') return text;
    throw this.#error(
      word,
      `${keyword} is empty after the variables in ${word.text} are replaced`,
      this.#context.reader.emptyFix(word, this.#scope()),
    );
  }

  #workdir(): string {
    return resolvePath('/', this.#config.WorkingDir ?? '/');
  }

  #shell(): readonly string[] {
    const shell = this.#config.Shell ?? [];
    return shell.length === 0 ? DEFAULT_SHELL : shell;
  }

  #argv(command: Command): readonly string[] {
    return command.form === 'exec' ? command.argv : [...this.#shell(), command.script];
  }

  #run(instruction: RunInstruction): RunStep {
    const { argv, files } = runCommand(instruction, this.#shell(), this.#source);
    if (argv.some((argument) => argument.includes('\0'))) {
      throw this.#error(instruction, 'an argument of RUN holds a NUL', 'remove the \\u0000');
    }
    const copy = this.#copyContext();
    return {
      kind: 'run',
      instruction,
      position: instruction.position,
      title: instruction.text,
      argv,
      env: this.#environment(),
      proxyEnv: PROXY_ARGS.flatMap((name) => {
        const value = this.#context.buildArgs.get(name);
        return value === undefined || this.#scope().has(name) ? [] : [`${name}=${value}`];
      }),
      workdir: this.#workdir(),
      user: this.#config.User ?? '',
      network: instruction.network,
      security: instruction.security,
      mounts: instruction.mounts.map((mount, index) => {
        const before = instruction.mounts.slice(0, index).filter(({ type }) => type === 'ssh');
        return evaluateMount(mount, before.length, copy);
      }),
      files,
    };
  }

  #environment(): readonly string[] {
    const variables = new Map([['PATH', DEFAULT_PATH], ...this.#scope()]);
    // That of the engine is in every RUN, and so in none's key.
    if (variables.get(EPOCH) === this.#context.buildArgs.get(EPOCH)) variables.delete(EPOCH);
    return [...variables]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => `${name}=${value}`);
  }

  #copyContext(): CopyContext {
    return {
      source: this.#source,
      reader: this.#context.reader,
      variables: this.#scope(),
      workdir: this.#workdir(),
      origin: (word) => this.#context.graph.origin(word, this.#resolved.stage),
    };
  }

  #expose(instruction: ListInstruction): void {
    const ports = new Map(Object.entries(this.#config.ExposedPorts ?? {}));
    for (const word of instruction.values) {
      for (const text of this.#context.reader.words(word, this.#scope())) {
        const exposed = exposedPorts(text);
        if (exposed === undefined) {
          throw this.#error(
            word,
            `"${text}" is not a port`,
            'write a number from 1 to 65535, a range such as 8000-8010, and /udp where it is not TCP',
          );
        }
        if (exposed.isMapping) {
          const said = `EXPOSE says the port of the image alone, here ${exposed.ports[0] ?? ''}; where it is published is said when it runs`;
          this.#context.reader.warn(word, said, 'ExposeInvalidFormat');
        }
        if (!exposed.isLowerCase) {
          const said = `the protocol in ${text} is written in lower case`;
          this.#context.reader.warn(word, said, 'ExposeProtoCasing');
        }
        for (const port of exposed.ports) ports.set(port, {});
      }
    }
    this.#config.ExposedPorts = Object.fromEntries(ports);
  }

  #signal(word: Word): string {
    const signal = this.#text(word, 'STOPSIGNAL');
    if (isSignal(signal)) return signal;
    throw this.#error(
      word,
      `"${signal}" is not a signal`,
      'write a name such as SIGTERM, or a number from 1 to 64',
    );
  }

  /** Empty lists are left out: `CMD []` is no command. */
  #finalConfig(): ContainerConfig {
    const config: Mutable<ContainerConfig> = {
      ...this.#config,
      Env: [...this.#env].map(([name, value]) => `${name}=${value}`),
      OnBuild: this.#triggers,
    };
    for (const key of ['Env', 'OnBuild', 'Cmd', 'Entrypoint'] as const) {
      if (config[key]?.length === 0) delete config[key];
    }
    return config;
  }

  #error(place: Place, message: string, fix?: string): LktError {
    return this.#source.error(place, message, fix);
  }
}

function healthcheck(instruction: HealthcheckInstruction): object {
  const { command, interval, timeout, startPeriod, startInterval, retries } = instruction;
  if (command === undefined) return { Test: ['NONE'] };
  return {
    Test: command.form === 'exec' ? ['CMD', ...command.argv] : ['CMD-SHELL', command.script],
    ...(interval === undefined ? {} : { Interval: interval }),
    ...(timeout === undefined ? {} : { Timeout: timeout }),
    ...(startPeriod === undefined ? {} : { StartPeriod: startPeriod }),
    ...(startInterval === undefined ? {} : { StartInterval: startInterval }),
    ...(retries === undefined ? {} : { Retries: retries }),
  };
}

function splitVariable(text: string): [string, string] {
  const equals = text.indexOf('=');
  return equals === -1 ? [text, ''] : [text.slice(0, equals), text.slice(equals + 1)];
}
