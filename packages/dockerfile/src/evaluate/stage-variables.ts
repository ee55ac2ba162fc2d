/** The environment of a container whose image sets no PATH. */
export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const EPOCH = 'SOURCE_DATE_EPOCH';

/** What ENV and ARG of a stage, and of those that it is FROM, have set. */
export class StageVariables {
  readonly #env: Map<string, string>;
  /** Of ENV and ARG, whichever was last in this stage: as BuildKit has it, an ARG after an ENV goes before it. */
  readonly #values: Map<string, string>;
  readonly #buildArgs: ReadonlyMap<string, string>;
  #scope: ReadonlyMap<string, string> | undefined;

  /**
   * @param env of the config that the stage begins with
   * @param inherited what the stage it is FROM hands on
   */
  constructor(
    env: readonly string[],
    inherited: ReadonlyMap<string, string>,
    buildArgs: ReadonlyMap<string, string>,
  ) {
    this.#env = new Map(env.map(splitVariable));
    this.#values = new Map([...inherited, ...this.#env]);
    this.#buildArgs = buildArgs;
    // As if every stage declared it: all its commands have it.
    const epoch = buildArgs.get(EPOCH);
    if (epoch !== undefined) this.#values.set(EPOCH, epoch);
  }

  /** Those that have a value, as the stages get them that are FROM this one. */
  get values(): ReadonlyMap<string, string> {
    return this.#values;
  }

  /** What variables stand for now. It stays so when others are set. */
  get scope(): ReadonlyMap<string, string> {
    this.#scope ??= new Map(this.#values);
    return this.#scope;
  }

  /** Of the image: what ENV has set, as NAME=VALUE. */
  get env(): readonly string[] {
    return [...this.#env].map(([name, value]) => `${name}=${value}`);
  }

  /** Of a command: what ENV and ARG have set, as NAME=VALUE, sorted. */
  get environment(): readonly string[] {
    const variables = new Map([['PATH', DEFAULT_PATH], ...this.#values]);
    // That of the engine is in every RUN, and so in none's key.
    if (variables.get(EPOCH) === this.#buildArgs.get(EPOCH)) variables.delete(EPOCH);
    return [...variables]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => `${name}=${value}`);
  }

  /** As ENV does. */
  set(name: string, value: string): void {
    this.#env.set(name, value);
    this.declare(name, value);
  }

  /** As ARG does: it is not of the image. */
  declare(name: string, value: string): void {
    this.#values.set(name, value);
    this.#scope = undefined;
  }
}

function splitVariable(text: string): [string, string] {
  const equals = text.indexOf('=');
  return equals === -1 ? [text, ''] : [text.slice(0, equals), text.slice(equals + 1)];
}
