import type { Position } from '@lkt/core';
import type { ContainerConfig } from '@lkt/oci';
import type {
  CopyInstruction,
  Instruction,
  Mount,
  MountType,
  RunInstruction,
  Span,
  Warning,
} from '../parse/ast.ts';

/** The source of the files of a stage, a COPY or a mount. */
export type Origin =
  | { readonly kind: 'scratch' }
  | { readonly kind: 'context' }
  | { readonly kind: 'stage'; readonly index: number }
  | ImageOrigin;

/** An image that a Dockerfile names; the span is that of the reference. */
export interface ImageOrigin extends Span {
  readonly kind: 'image';
  /** The reference after expansion, the key of `BuildRequest.bases`. */
  readonly text: string;
  /** The platform of the image, as `os/architecture[/variant]`. */
  readonly platform: string;
}

/** Returns a key for an image on a platform. Equal references have equal keys. */
export function imageKey(origin: Pick<ImageOrigin, 'text' | 'platform'>): string {
  return `${origin.platform} ${origin.text}`;
}

interface StepBase {
  readonly instruction: Instruction;
  readonly position: Position;
  /** One line for progress and history: the keyword and its arguments as written. */
  readonly title: string;
  /** Set for an ONBUILD trigger of the base image; `position` is then that of FROM. */
  readonly isTrigger?: true;
}

/** An expanded RUN. */
export interface RunStep extends StepBase, Pick<RunInstruction, 'network' | 'security'> {
  readonly kind: 'run';
  /** In shell form it begins with the stage's shell. Never empty. */
  readonly argv: readonly string[];
  /**
   * `NAME=value`, sorted by name, each name once: the ENVs and the ARGs in scope (the last one
   * wins). Always has PATH.
   */
  readonly env: readonly string[];
  /**
   * Proxy build arguments without an ARG: the process receives them, but they are not in the step
   * key.
   */
  readonly proxyEnv: readonly string[];
  /** Absolute. */
  readonly workdir: string;
  /** The value of USER: `name`, `uid`, `name:group`…; `''` is root. */
  readonly user: string;
  readonly mounts: readonly ResolvedMount[];
  /**
   * Files that exist only while the command runs: the body of a `RUN <<EOF` that starts with `#!`.
   */
  readonly files: readonly {
    readonly path: string;
    readonly content: string;
    readonly mode: number;
  }[];
}

/** A mount with everything expanded and every default filled in. */
export interface ResolvedMount extends Pick<Mount, 'readOnly' | 'sharing' | 'required' | 'env'> {
  readonly type: MountType;
  readonly position: Position;
  /** Only used by `bind` and `cache`. Default: the context for bind, scratch for cache. */
  readonly from: Origin;
  /** Path in `from`, absolute. */
  readonly source: string;
  /** Absolute; undefined for a secret with `env` and without a written target. */
  readonly target: string | undefined;
  readonly id: string;
  /** Permission bits; undefined if not written. */
  readonly mode: number | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  /** Size of a tmpfs in bytes. */
  readonly size: number | undefined;
}

/** An expanded COPY or ADD. */
export interface CopyStep
  extends StepBase, Pick<CopyInstruction, 'link' | 'parents' | 'keepGitDir' | 'unpack'> {
  readonly kind: 'copy' | 'add';
  readonly from: Origin;
  /**
   * Expanded patterns, relative to the root of `from`: cleaned, without a leading slash; `''` is
   * the root.
   */
  readonly sources: readonly CopySource[];
  /** Here-documents of the Dockerfile. */
  readonly files: readonly { readonly name: string; readonly content: string }[];
  /** Absolute and cleaned, without a trailing slash; the root is `/`. */
  readonly destination: string;
  /** Whether the destination is written as a directory: it ends in a slash or is `.`. */
  readonly destinationIsDirectory: boolean;
  /** `user[:group]`; undefined: 0:0. USER does not affect it. */
  readonly chown: string | undefined;
  /** Octal bits or a symbolic mode; undefined: as in the source. */
  readonly chmod: number | string | undefined;
  /** Patterns as in .dockerignore. */
  readonly exclude: readonly string[];
  readonly checksum: string | undefined;
}

/** A source of COPY or ADD. Only ADD has `http` and `git` sources. */
export interface CopySource extends Span {
  readonly kind: 'path' | 'http' | 'git';
  /** A pattern for paths, else the URL. */
  readonly text: string;
  /** With --parents, the prefix of the path that is not kept: the part before `/./`. */
  readonly base: string;
}

/** A WORKDIR: creates the directory if it does not exist. */
export interface WorkdirStep extends StepBase {
  readonly kind: 'workdir';
  readonly path: string;
  readonly user: string;
}

/** An expanded instruction that changes files. */
export type Step = RunStep | CopyStep | WorkdirStep;

/** An ONBUILD trigger of the base, as a title for progress and as an instruction. */
interface BaseTrigger {
  readonly title: string;
  /** The instruction on one line, and the here-documents it opens. */
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
  /**
   * In written order. Instructions that only change the config have no step: they affect `config`
   * and later steps.
   */
  readonly steps: readonly Step[];
  /** The `config` object of the stage's image. */
  readonly config: ContainerConfig;
  /** The value of MAINTAINER: the `author` of an OCI image config. */
  readonly author: string | undefined;
  /**
   * The ONBUILD triggers of the base. Their steps come first in `steps`; their settings are in
   * `config`.
   */
  readonly baseTriggers: readonly BaseTrigger[];
  /** Stages this one needs, ascending, each once. */
  readonly needs: readonly number[];
}

/** An evaluated Dockerfile. */
export interface BuildPlan {
  /**
   * Only the stages that the target needs, each after its dependencies. The last one is the target.
   */
  readonly stages: readonly StagePlan[];
  readonly target: number;
  readonly warnings: readonly Warning[];
}
