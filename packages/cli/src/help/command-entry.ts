/** The commands as data: what completion scripts and `docs/cli.md` are made from. */
export interface CommandEntry {
  /** As it is typed: `pkg build`. */
  readonly name: string;
  readonly summary: string;
  readonly description: string | undefined;
  readonly examples: readonly string[];
  readonly args: readonly ArgEntry[];
  readonly flags: readonly FlagEntry[];
}

export interface ArgEntry {
  readonly name: string;
  readonly description: string;
  readonly required: boolean;
  readonly multiple: boolean;
  readonly values: readonly string[];
}

export interface FlagEntry {
  readonly name: string;
  readonly char: string | undefined;
  readonly summary: string;
  readonly description: string | undefined;
  /** What stands for its value in help; undefined for a switch. */
  readonly value: string | undefined;
  readonly values: readonly string[];
  readonly default: string | undefined;
  readonly multiple: boolean;
  /** Accepted by every command. */
  readonly global: boolean;
}
