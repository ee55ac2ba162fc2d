import type { Position } from '@lkt/core';
import type { ContainerConfig } from '@lkt/oci';
import type { Instruction, MountType, Span, Warning } from '../parse/ast.ts';

/** Where the files of a stage, a COPY or a mount come from. */
export type Origin =
  | { readonly kind: 'scratch' }
  | { readonly kind: 'context' }
  | { readonly kind: 'stage'; readonly index: number }
  | ImageOrigin;

export interface ImageOrigin extends Span {
  readonly kind: 'image';
  /** The reference after substitution, the key of `BuildRequest.bases`. */
  readonly text: string;
  /** `os/architecture[/variant]` the image is wanted for. */
  readonly platform: string;
}

/** An image for a platform: what a Dockerfile names twice is one. */
export function imageKey(origin: Pick<ImageOrigin, 'text' | 'platform'>): string {
  return `${origin.platform} ${origin.text}`;
}

interface StepBase {
  readonly instruction: Instruction;
  readonly position: Position;
  /** One line for progress and history: the keyword and its arguments as written. */
  readonly title: string;
  /** The base image brings it along (ONBUILD); its place is the FROM. */
  readonly isTrigger?: true;
}

export interface RunStep extends StepBase {
  readonly kind: 'run';
  /** With the stage's shell in front for the shell form. Never empty. */
  readonly argv: readonly string[];
  /** `NAME=value`, sorted by name, each name once: the ENVs and the ARGs in scope (the last one wins). PATH is always there. */
  readonly env: readonly string[];
  /** Proxy settings given as build args without an ARG; they go to the process and not into the step's key. */
  readonly proxyEnv: readonly string[];
  /** Absolute. */
  readonly workdir: string;
  /** As in USER: `name`, `uid`, `name:group`…; `''` is root. */
  readonly user: string;
  readonly network: 'default' | 'none' | 'host';
  readonly security: 'sandbox' | 'insecure';
  readonly mounts: readonly ResolvedMount[];
  /** Files that exist for the time of this command only: the body of `RUN <<EOF` that starts with `#!`. */
  readonly files: readonly {
    readonly path: string;
    readonly content: string;
    readonly mode: number;
  }[];
}

/** A mount with everything expanded and every default filled in. */
export interface ResolvedMount {
  readonly type: MountType;
  readonly position: Position;
  /** For `bind` and `cache`; an absent `from` is the context for bind and scratch for cache. */
  readonly from: Origin;
  /** Path in `from`, absolute. */
  readonly source: string;
  /** Absolute; a secret without target and with env has none. */
  readonly target: string | undefined;
  readonly readOnly: boolean;
  readonly id: string;
  readonly sharing: 'shared' | 'private' | 'locked';
  readonly required: boolean;
  readonly env: string | undefined;
  /** Permission bits; undefined where not written. */
  readonly mode: number | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  /** Of a tmpfs, bytes. */
  readonly size: number | undefined;
}

export interface CopyStep extends StepBase {
  readonly kind: 'copy' | 'add';
  readonly from: Origin;
  /** Expanded patterns, relative to the root of `from`: no leading slash, cleaned; `''` is the root. */
  readonly sources: readonly CopySource[];
  /** Files given in the Dockerfile itself. */
  readonly files: readonly { readonly name: string; readonly content: string }[];
  /** Absolute and cleaned, no trailing slash; the root is `/`. */
  readonly destination: string;
  /** Whether the destination is written as a directory: it ends in a slash or is `.`. */
  readonly destinationIsDirectory: boolean;
  /** `user[:group]`, undefined: 0:0. USER has no say in it. */
  readonly chown: string | undefined;
  /** Octal bits or a symbolic mode; undefined: as in the source. */
  readonly chmod: number | string | undefined;
  readonly link: boolean;
  readonly parents: boolean;
  /** Patterns as in .dockerignore. */
  readonly exclude: readonly string[];
  readonly checksum: string | undefined;
  readonly keepGitDir: boolean;
  readonly unpack: boolean | undefined;
}

/** A source of COPY or ADD. `http` and `git` occur in ADD only. */
export interface CopySource extends Span {
  readonly kind: 'path' | 'http' | 'git';
  /** A pattern for paths, else the address. */
  readonly text: string;
  /** With --parents, the start of the path that is not kept: what stands before `/./`. */
  readonly base: string;
}

/** WORKDIR: the directory is made when it does not exist. */
export interface WorkdirStep extends StepBase {
  readonly kind: 'workdir';
  readonly path: string;
  readonly user: string;
}

export type Step = RunStep | CopyStep | WorkdirStep;

/** A trigger as it is written: for people, and as an instruction. */
interface BaseTrigger {
  readonly title: string;
  /** On one line, and the here-documents it opens. */
  readonly text: string;
}

/** A stage with everything expanded. */
export interface StagePlan {
  readonly index: number;
  readonly name: string | undefined;
  readonly position: Position;
  /** `os/architecture[/variant]`. */
  readonly platform: string;
  readonly base: Exclude<Origin, { kind: 'context' }>;
  /** In written order; instructions that only change the config are in `config` and in the steps they affect. */
  readonly steps: readonly Step[];
  /** What the image of this stage says. */
  readonly config: ContainerConfig;
  /** What MAINTAINER says; the `author` of an OCI image config. */
  readonly author: string | undefined;
  /** Triggers the base brings along (ONBUILD). What they do comes first in `steps` and is in `config`. */
  readonly baseTriggers: readonly BaseTrigger[];
  /** Stages this one needs, ascending, each once. */
  readonly needs: readonly number[];
}

export interface BuildPlan {
  /** Only stages the target needs, each after those it needs. The last one is the target. */
  readonly stages: readonly StagePlan[];
  readonly target: number;
  readonly warnings: readonly Warning[];
}
