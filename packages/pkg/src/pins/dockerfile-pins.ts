import { join } from 'node:path';
import { sourceError, writeFileAtomic } from '@lkt/core';
import type { ImageUse, Recipe } from '../build/recipe.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';
import { applyEdits, type TextEdit } from './text-edit.ts';

/** A reference that was rewritten. */
export interface PinChange {
  /** Path as shown to the user. */
  readonly file: string;
  readonly line: number;
  readonly from: string;
  readonly to: string;
}

/** The references of a Dockerfile that another text should replace. */
export interface DockerfilePins {
  readonly changes: readonly PinChange[];
  /** New texts by absolute path: of the Dockerfile, and of build.yml for its arguments. */
  readonly texts: ReadonlyMap<string, string>;
}

/** Returns the text that a reference should have, with variables replaced; undefined: it stays. */
export type WantedText = (use: ImageUse) => Promise<string | undefined>;

/** A part of a file that an argument's value is written in. */
interface ArgumentPin {
  readonly isBuildYml: boolean;
  readonly edit: TextEdit;
  readonly change: PinChange;
}

/**
 * Finds the references of a package's Dockerfile that should change. A reference that ends with a
 * build argument changes where the value is: in build.yml, else in the ARG before the first FROM.
 * Writes nothing.
 * @throws PIN_MISSING for a reference of other variables, which cannot be rewritten
 */
export async function findDockerfilePins(
  workspace: Workspace,
  item: Package,
  recipe: Recipe,
  wanted: WantedText,
): Promise<DockerfilePins> {
  const { file } = recipe.dockerfile;
  const edits: TextEdit[] = [];
  const args = new Map<string, ArgumentPin>();
  const changes: PinChange[] = [];
  for (const use of recipe.uses) {
    const to = use.calculated ? undefined : await wanted(use);
    if (to === undefined || to === use.text) continue;
    const [quote, written] = unquoted(use.written);
    if (written === use.text) {
      const offset = use.offset + quote.length;
      edits.push({ offset, length: written.length, replacement: to });
      changes.push({ file: file.path, line: use.position.line, from: written, to });
      continue;
    }
    const found = argumentPin(item, recipe, { ...use, written }, to);
    const key = found && `${found.isBuildYml} ${found.edit.offset}`;
    const known = key === undefined ? undefined : args.get(key);
    if (
      found === undefined ||
      key === undefined ||
      (known && known.edit.replacement !== found.edit.replacement)
    ) {
      const problem = `cannot pin ${use.written}: it contains variables`;
      const fix = `write it without variables: ${to}`;
      throw sourceError('PIN_MISSING', file, use.position, problem, { length: use.length, fix });
    }
    if (known === undefined) changes.push(found.change);
    args.set(key, found);
  }
  const ofBuildYml = [...args.values()].filter(({ isBuildYml }) => isBuildYml);
  edits.push(...[...args.values()].flatMap((one) => (one.isBuildYml ? [] : one.edit)));
  const texts = new Map<string, string>();
  if (edits.length > 0) texts.set(join(item.dir, item.dockerfile), applyEdits(file.text, edits));
  if (ofBuildYml.length > 0)
    texts.set(
      join(item.dir, workspace.buildYml),
      applyEdits(
        item.file.text,
        ofBuildYml.map(({ edit }) => edit),
      ),
    );
  return { changes, texts };
}

/** Writes the pins that `findDockerfilePins` returned, and reads build.yml again if it changed. */
export async function writeDockerfilePins(
  workspace: Workspace,
  item: Package,
  { changes, texts }: DockerfilePins,
): Promise<readonly PinChange[]> {
  for (const [path, text] of texts) await writeFileAtomic(path, text);
  if (texts.has(join(item.dir, workspace.buildYml))) workspace.reread(item);
  return changes;
}

/**
 * Returns the change of the argument that a reference ends with, as in `${IMAGE}:${TAG}`; undefined
 * if it cannot be the pin.
 */
function argumentPin(
  item: Package,
  { dockerfile }: Recipe,
  { written, text }: ImageUse,
  to: string,
): ArgumentPin | undefined {
  const [, braced, plain] = /\$(?:\{(\w+)\}|(\w+))$/.exec(written) ?? [];
  const name = braced ?? plain;
  const arg = item.buildArgs.findLast((one) => one.name === name);
  if (arg === undefined)
    return name === undefined ? undefined : defaultPin(dockerfile, name, text, to);
  const { range, position } = arg.at;
  if (range === undefined || !text.endsWith(arg.value)) return undefined;
  const before = text.slice(0, text.length - arg.value.length);
  const from = `${arg.name}=${arg.value}`;
  const offset = item.file.text.indexOf(from, range[0]);
  if (!to.startsWith(before) || offset === -1 || offset + from.length > range[1]) return undefined;
  const replacement = `${arg.name}=${to.slice(before.length)}`;
  return {
    isBuildYml: true,
    edit: { offset, length: from.length, replacement },
    change: { file: item.file.path, line: position?.line ?? 1, from, to: replacement },
  };
}

/** Returns the change of the default of an ARG before the first FROM. */
function defaultPin(
  { file, globalArgs }: Recipe['dockerfile'],
  name: string,
  text: string,
  to: string,
): ArgumentPin | undefined {
  const [value, ...others] = globalArgs.flatMap(({ args }) =>
    args.flatMap((one) => (one.name === name ? one.value : [])),
  );
  if (value === undefined || others.length > 0) return undefined;
  const [quote, from] = unquoted(value.text);
  const before = text.slice(0, text.length - from.length);
  const offset = value.offset + quote.length;
  // A value over several lines, or with escapes, is not written as it is used.
  if (file.text.slice(offset, offset + from.length) !== from || !text.endsWith(from))
    return undefined;
  if (from === '' || !to.startsWith(before)) return undefined;
  const replacement = to.slice(before.length);
  return {
    isBuildYml: false,
    edit: { offset, length: from.length, replacement },
    change: { file: file.path, line: value.position.line, from, to: replacement },
  };
}

/** Returns the quote around a word of a Dockerfile, or '', and what is inside. */
function unquoted(word: string): readonly [quote: string, inside: string] {
  const [, quote = '', inside = ''] = /^(["']?)(.*)\1$/.exec(word) ?? [];
  return [quote, inside];
}
