/** A command as data, for completion scripts and `docs/cli.md`. */
export interface CommandEntry {
  /** The name as typed: `pkg build`. */
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
  /** The placeholder of the value in help; undefined for a switch. */
  readonly value: string | undefined;
  readonly values: readonly string[];
  readonly default: string | undefined;
  readonly multiple: boolean;
  /** Whether every command accepts it. */
  readonly global: boolean;
}
