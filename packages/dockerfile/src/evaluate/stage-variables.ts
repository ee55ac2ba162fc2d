import { nameAndValue } from '../parse/raw-words.ts';

/** The PATH of a container whose image sets none. */
export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const EPOCH = 'SOURCE_DATE_EPOCH';

/** The variables that ENV and ARG set in a stage and in the stages it is FROM. */
export class StageVariables {
  readonly #env: Map<string, string>;
  /**
   * The last ENV or ARG of a name in this stage wins: as in BuildKit, a later ARG overrides an ENV.
   */
  readonly #values: Map<string, string>;
  readonly #buildArgs: ReadonlyMap<string, string>;
  #scope: ReadonlyMap<string, string> | undefined;

  /**
   * @param env the variables of the inherited config
   * @param inherited the variables of the stage this one is FROM
   */
  constructor(
    env: readonly string[],
    inherited: ReadonlyMap<string, string>,
    buildArgs: ReadonlyMap<string, string>,
  ) {
    this.#env = new Map(
      env.map((text) => {
        const [name, value = ''] = nameAndValue(text);
        return [name, value];
      }),
    );
    this.#values = new Map([...inherited, ...this.#env]);
    this.#buildArgs = buildArgs;
    // As if every stage declared it: all commands receive it.
    const epoch = buildArgs.get(EPOCH);
    if (epoch !== undefined) this.#values.set(EPOCH, epoch);
  }

  /** The variables with a value, which stages that are FROM this one inherit. */
  get values(): ReadonlyMap<string, string> {
    return this.#values;
  }

  /** The current values for expansion. Later assignments do not change the returned map. */
  get scope(): ReadonlyMap<string, string> {
    this.#scope ??= new Map(this.#values);
    return this.#scope;
  }

  /** The environment of the image: the ENVs, as NAME=VALUE. */
  get env(): readonly string[] {
    return [...this.#env].map(([name, value]) => `${name}=${value}`);
  }

  /** The environment of a command: ENVs and ARGs as NAME=VALUE, sorted. */
  get environment(): readonly string[] {
    const variables = new Map([['PATH', DEFAULT_PATH], ...this.#values]);
    // Every RUN receives the engine's value at run time, so step keys do not contain it.
    if (variables.get(EPOCH) === this.#buildArgs.get(EPOCH)) variables.delete(EPOCH);
    return [...variables]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => `${name}=${value}`);
  }

  /** Sets a variable as ENV does. */
  set(name: string, value: string): void {
    this.#env.set(name, value);
    this.declare(name, value);
  }

  /** Sets a variable as ARG does: the image does not contain it. */
  declare(name: string, value: string): void {
    this.#values.set(name, value);
    this.#scope = undefined;
  }
}
