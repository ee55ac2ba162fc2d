import type { Position, SourceFile } from '@lkt/core';

/**
 * A range of the file: its position and its length in UTF-16 units, including continuation lines.
 */
export interface Span {
  readonly position: Position;
  readonly offset: number;
  readonly length: number;
}

/** A word as written: with quotes, escapes and variables. */
export interface Word extends Span {
  readonly text: string;
}

/** `--name` or `--name=value` between an instruction's keyword and its arguments, unexpanded. */
export interface Flag extends Span {
  readonly name: string;
  readonly value: string | undefined;
}

/** A here-document: `<<NAME`, `<<-NAME`, `<<"NAME"`. */
export interface Heredoc extends Span {
  readonly name: string;
  /** The lines between the opening line and the terminator, unchanged, each with its line break. */
  readonly content: string;
  /** Whether COPY and ADD expand variables in the body: the name is written without quotes. */
  readonly expand: boolean;
  /** Whether leading tabs are removed from every line: `<<-`. */
  readonly chomp: boolean;
  /** The number before `<<`, else 0. */
  readonly descriptor: number;
}

/**
 * The common part of all instructions. The span ends with the last line, without here-documents.
 */
export interface InstructionBase extends Span {
  /**
   * The instruction on one line: continuations joined, comments inside it dropped, otherwise
   * unchanged.
   */
  readonly text: string;
  readonly flags: readonly Flag[];
  readonly heredocs: readonly Heredoc[];
}

/** A command in exec form (`["a", "b"]`), or in shell form: text for the stage's shell. */
export type Command =
  | { readonly form: 'exec'; readonly argv: readonly string[] }
  | { readonly form: 'shell'; readonly script: string };

/** The types of `RUN --mount`. */
export type MountType = 'bind' | 'cache' | 'tmpfs' | 'secret' | 'ssh';

/**
 * A `RUN --mount`. Values may contain variables. Without `target` it is the working directory, or
 * the type's default.
 */
export interface Mount {
  readonly flag: Flag;
  /** undefined if the type is a variable. */
  readonly type: MountType | undefined;
  /** A stage or image; never contains variables. */
  readonly from: Word | undefined;
  readonly source: string | undefined;
  readonly target: string | undefined;
  readonly readOnly: boolean;
  readonly id: string | undefined;
  readonly sharing: 'shared' | 'private' | 'locked';
  readonly required: boolean;
  /** Name of the environment variable for a secret. */
  readonly env: string | undefined;
  readonly mode: string | undefined;
  readonly uid: string | undefined;
  readonly gid: string | undefined;
  readonly size: string | undefined;
}

/** A FROM; begins a stage. */
export interface FromInstruction extends InstructionBase {
  readonly keyword: 'FROM';
  readonly image: Word;
  readonly platform: Word | undefined;
  /** The name after AS, in lower case. */
  readonly name: string | undefined;
}

/**
 * An ARG with one or more names. `word` is the name, which a stage expands; `value` is the
 * unexpanded default.
 */
export interface ArgInstruction extends InstructionBase {
  readonly keyword: 'ARG';
  readonly args: readonly {
    readonly name: string;
    readonly word: Word;
    readonly value: Word | undefined;
  }[];
}

/** A RUN with its flags. */
export interface RunInstruction extends InstructionBase {
  readonly keyword: 'RUN';
  readonly command: Command;
  readonly mounts: readonly Mount[];
  readonly network: 'default' | 'none' | 'host';
  readonly security: 'sandbox' | 'insecure';
}

/** A COPY or ADD. All texts are unexpanded. */
export interface CopyInstruction extends InstructionBase {
  readonly keyword: 'COPY' | 'ADD';
  /** Without the here-documents, which come after them. */
  readonly sources: readonly Word[];
  readonly destination: Word;
  /** Stage name, stage number or image; COPY only; never contains variables. */
  readonly from: Word | undefined;
  readonly chown: string | undefined;
  readonly chmod: string | undefined;
  readonly link: boolean;
  readonly parents: boolean;
  readonly exclude: readonly string[];
  /** ADD only. */
  readonly checksum: string | undefined;
  /** ADD only. */
  readonly keepGitDir: boolean;
  /** ADD only; undefined: local archives are unpacked, downloaded ones are not. */
  readonly unpack: boolean | undefined;
}

/** ENV and LABEL. In the form `ENV name value` the value is the rest of the line. */
interface PairsInstruction extends InstructionBase {
  readonly keyword: 'ENV' | 'LABEL';
  readonly pairs: readonly { readonly name: Word; readonly value: Word }[];
}

/** An EXPOSE or VOLUME. */
export interface ListInstruction extends InstructionBase {
  readonly keyword: 'EXPOSE' | 'VOLUME';
  readonly values: readonly Word[];
}

/** Durations are in nanoseconds, as in the image config; undefined if not written. */
export interface HealthcheckInstruction extends InstructionBase {
  readonly keyword: 'HEALTHCHECK';
  /** undefined for `HEALTHCHECK NONE`. */
  readonly command: Command | undefined;
  readonly interval?: number;
  readonly timeout?: number;
  readonly startPeriod?: number;
  readonly startInterval?: number;
  readonly retries?: number;
}

/** An ONBUILD; `trigger` runs in images that are FROM this one. */
interface OnbuildInstruction extends InstructionBase {
  readonly keyword: 'ONBUILD';
  readonly trigger: Instruction;
}

/** An instruction of a Dockerfile, parsed and unexpanded. `keyword` discriminates the variants. */
export type Instruction =
  | FromInstruction
  | ArgInstruction
  | RunInstruction
  | CopyInstruction
  | PairsInstruction
  | (InstructionBase & { readonly keyword: 'WORKDIR'; readonly path: Word })
  | (InstructionBase & { readonly keyword: 'USER'; readonly user: Word })
  // `CMD []` and `ENTRYPOINT []` clear the base's value: exec form with an empty argv.
  | (InstructionBase & { readonly keyword: 'CMD' | 'ENTRYPOINT'; readonly command: Command })
  | ListInstruction
  | (InstructionBase & { readonly keyword: 'STOPSIGNAL'; readonly signal: Word })
  | (InstructionBase & { readonly keyword: 'SHELL'; readonly argv: readonly string[] })
  | HealthcheckInstruction
  | OnbuildInstruction
  | (InstructionBase & { readonly keyword: 'MAINTAINER'; readonly maintainer: string });

/** An instruction's keyword in upper case. */
export type Keyword = Instruction['keyword'];

/** The instructions from one FROM to the next. */
export interface Stage {
  readonly index: number;
  readonly from: FromInstruction;
  /** Without the FROM. */
  readonly instructions: readonly Instruction[];
}

/** Parser directives: comments at the very top such as `# syntax=docker/dockerfile:1`. */
export interface Directives {
  /** Recorded only; lkt never fetches a frontend. */
  readonly syntax: Word | undefined;
  readonly escape: '\\' | '`';
  readonly check: Word | undefined;
}

/** A problem that does not stop the build. */
export interface Warning {
  readonly position: Position;
  readonly text: string;
  /** The BuildKit check that reports the same problem, as used in `# check=`. */
  readonly rule?: string;
}

/** A parsed Dockerfile. */
export interface Dockerfile {
  readonly file: SourceFile;
  readonly directives: Directives;
  /** The ARGs before the first FROM. */
  readonly globalArgs: readonly ArgInstruction[];
  /** At least one. */
  readonly stages: readonly Stage[];
  readonly warnings: readonly Warning[];
}
