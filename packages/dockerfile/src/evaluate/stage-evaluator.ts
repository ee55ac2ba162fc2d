import type { ContainerConfig } from '@lkt/oci';
import type { Command, Instruction, Word } from '../parse/ast.ts';
import { resolvePath } from '../copy/source-tree.ts';
import { type CopyContext, evaluateCopy } from './copy-step.ts';
import { healthcheck } from './healthcheck.ts';
import { evaluateExpose } from './ports.ts';
import { evaluateRun } from './run-step.ts';
import { isSignal } from './signals.ts';
import type { SourceText } from '../parse/source-text.ts';
import { DEFAULT_PATH, StageVariables } from './stage-variables.ts';
import type { ResolvedStage, StageGraph } from './stages.ts';
import type { StagePlan, Step } from './steps.ts';
import { triggerError, triggerText } from '../parse/triggers.ts';

/** The state that stages inherit from the stage they are FROM. */
export interface StageState {
  readonly config: ContainerConfig;
  readonly author: string | undefined;
  /** Variables and declared arguments with a value. */
  readonly variables: ReadonlyMap<string, string>;
}

/** The inputs of a stage's evaluation. */
export interface StageContext {
  readonly graph: StageGraph;
  readonly buildArgs: ReadonlyMap<string, string>;
  /** The state of the stage this one is FROM. */
  readonly parent: StageState | undefined;
  /** The config of the image this one is FROM. */
  readonly imageConfig: ContainerConfig | undefined;
}

const DEFAULT_SHELL: readonly string[] = ['/bin/sh', '-c'];

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Evaluates the instructions of one stage in order. */
export class StageEvaluator {
  readonly #source: SourceText;
  readonly #resolved: ResolvedStage;
  readonly #context: StageContext;
  readonly #config: Mutable<ContainerConfig>;
  readonly #variables: StageVariables;
  readonly #steps: Step[] = [];
  readonly #triggers: string[] = [];
  #author: string | undefined;
  /** Whether this stage itself has a CMD; ENTRYPOINT resets an inherited one. */
  #hasCommand = false;

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
    this.#variables = new StageVariables(
      config.Env ?? [],
      context.parent?.variables ?? new Map(),
      context.buildArgs,
    );
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
      state: { config, author: this.#author, variables: this.#variables.values },
    };
  }

  #evaluate(instruction: Instruction): void {
    switch (instruction.keyword) {
      case 'ARG': {
        const variables = this.#variables.scope;
        for (const { word, value } of instruction.args)
          this.#declare(this.#name(word, variables), value, variables);
        return;
      }
      case 'ENV': {
        const variables = this.#variables.scope;
        for (const { name, value } of instruction.pairs) {
          const key = this.#name(name, variables);
          this.#variables.set(key, this.#context.graph.reader.word(value, variables));
        }
        return;
      }
      case 'LABEL': {
        const expand = (word: Word): string =>
          this.#context.graph.reader.word(word, this.#variables.scope);
        const labels = instruction.pairs.map(({ name, value }) => [expand(name), expand(value)]);
        this.#config.Labels = { ...this.#config.Labels, ...Object.fromEntries(labels) };
        return;
      }
      case 'RUN':
        this.#steps.push(
          evaluateRun(instruction, {
            ...this.#copyContext(),
            shell: this.#shell(),
            environment: this.#variables.environment,
            buildArgs: this.#context.buildArgs,
            user: this.#config.User ?? '',
          }),
        );
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
        // Dockerfile reference, "Understand how CMD and ENTRYPOINT interact": ENTRYPOINT resets the
        // CMD of the base image.
        if (!this.#hasCommand) this.#config.Cmd = [];
        return;
      case 'EXPOSE': {
        const ports = evaluateExpose(instruction, this.#copyContext());
        this.#config.ExposedPorts = { ...this.#config.ExposedPorts, ...keysOf(ports) };
        return;
      }
      case 'VOLUME': {
        const paths = instruction.values.map((word) => this.#text(word, 'VOLUME'));
        this.#config.Volumes = { ...this.#config.Volumes, ...keysOf(paths) };
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
        this.#triggers.push(triggerText(instruction.trigger));
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

  #declare(name: string, fallback: Word | undefined, variables: ReadonlyMap<string, string>): void {
    const { buildArgs, graph } = this.#context;
    const given = buildArgs.get(name);
    const value =
      given ??
      (fallback === undefined ? graph.globals.get(name) : graph.reader.word(fallback, variables));
    if (value !== undefined) this.#variables.declare(name, value);
  }

  #name(word: Word, variables: ReadonlyMap<string, string>): string {
    const name = this.#context.graph.reader.word(word, variables);
    if (name === '' || name.includes('='))
      throw this.#source.error(word, `"${name}" is not a valid variable name`);
    return name;
  }

  #text(word: Word, keyword: string): string {
    const text = this.#context.graph.reader.word(word, this.#variables.scope);
    if (text !== '') return text;
    throw this.#source.error(
      word,
      `${keyword} is empty after expanding ${word.text}`,
      this.#context.graph.reader.emptyFix(word, this.#variables.scope),
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

  #copyContext(): CopyContext {
    return {
      source: this.#source,
      reader: this.#context.graph.reader,
      variables: this.#variables.scope,
      workdir: this.#workdir(),
      origin: (word) => this.#context.graph.origin(word, this.#resolved.stage),
    };
  }

  #signal(word: Word): string {
    const signal = this.#text(word, 'STOPSIGNAL');
    if (isSignal(signal)) return signal;
    throw this.#source.error(
      word,
      `"${signal}" is not a signal`,
      'write a name such as SIGTERM, or a number from 1 to 64',
    );
  }

  /** Omits empty lists: `CMD []` means no command. */
  #finalConfig(): ContainerConfig {
    const config: Mutable<ContainerConfig> = {
      ...this.#config,
      Env: this.#variables.env,
      OnBuild: this.#triggers,
    };
    for (const key of ['Env', 'OnBuild', 'Cmd', 'Entrypoint'] as const) {
      if (config[key]?.length === 0) delete config[key];
    }
    return config;
  }
}

/** Returns a set as image configs store it. */
function keysOf(names: readonly string[]): Readonly<Record<string, object>> {
  return Object.fromEntries(names.map((name) => [name, {}]));
}
