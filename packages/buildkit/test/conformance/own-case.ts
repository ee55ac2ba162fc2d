import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type EntryWithContent, writeTar } from '@lkt/oci';
import type { ConformanceCase } from './suite.ts';

/** A file of a context: its text, a program, a symbolic link or a tar archive. */
type ContextItem =
  | string
  | { readonly program: string }
  | { readonly link: string }
  | { readonly tar: () => readonly EntryWithContent[]; readonly gzip?: true };

/** How the results of lkt and BuildKit compare. Without one, layers and configs are equal. */
export type Expectation =
  /** Both fail; lkt with this message. */
  | { readonly bothFail: RegExp }
  /** A divergence that docs/dockerfile.md lists by name. */
  | ({ readonly divergence: string } & Difference);

type Difference =
  | { readonly lktFails: RegExp }
  | { readonly buildkitFails: RegExp }
  /** Paths of the files that differ, in order; the properties of the config that differ. */
  | {
      readonly files?: readonly string[];
      readonly ours?: object;
      readonly theirs?: object;
    };

/** A Dockerfile with a context, and how its results compare. */
export interface OwnCase {
  readonly name: string;
  readonly dockerfile: readonly string[];
  readonly context?: Readonly<Record<string, ContextItem>>;
  readonly buildArgs?: Readonly<Record<string, string>>;
  /** Images that the Dockerfile names, besides `base`, each with its own Dockerfile. */
  readonly images?: Readonly<Record<string, readonly string[]>>;
  readonly expect?: Expectation;
}

/** Writes the context of a case, and returns it as a case of the other suite. */
export async function writeCase(item: OwnCase, directory: string): Promise<ConformanceCase> {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'Dockerfile'), `${item.dockerfile.join('\n')}\n`);
  for (const [path, content] of Object.entries(item.context ?? {})) {
    const file = join(directory, path);
    mkdirSync(dirname(file), { recursive: true });
    if (typeof content === 'string') writeFileSync(file, content);
    else if ('link' in content) symlinkSync(content.link, file);
    else if ('program' in content) {
      writeFileSync(file, content.program);
      chmodSync(file, 0o755);
    } else {
      const tar = Buffer.concat(await Array.fromAsync(writeTar(content.tar())));
      writeFileSync(file, content.gzip === true ? gzipSync(tar) : tar);
    }
  }
  return {
    name: item.name,
    context: directory,
    dockerfile: 'Dockerfile',
    shouldFailAt: 0,
    mounts: null,
    buildArgs: item.buildArgs ?? {},
  };
}
