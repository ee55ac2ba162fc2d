import { SOURCE_DATE_EPOCH } from '@lkt/oci';
import { imageKey } from '../dockerfile/steps.ts';
import type { FetchedImage } from './fetched-images.ts';
import type { RequestPlan } from '../request-plan.ts';

/** A piece of text that replaces another, or with `length` 0 goes in. */
interface Edit {
  readonly offset: number;
  readonly length: number;
  readonly text: string;
}

/**
 * The Dockerfile as BuildKit gets it, so that it fetches nothing and its commands see what lkt's see:
 *
 * - images have the names of `contextNames`, so no reference is resolved anywhere, and none is taken for a stage;
 * - what ADD takes from elsewhere is copied from an image that has it;
 * - `# syntax=`, for which BuildKit would fetch a frontend, is not there;
 * - every stage declares SOURCE_DATE_EPOCH, which BuildKit gives to its exporter, but to no command that does not ask.
 */
export function dockerfileText(
  { dockerfile, references }: RequestPlan,
  fetched: readonly FetchedImage[] = [],
): string {
  const { text } = dockerfile.file;
  const names = contextNames({ references });
  const edits: Edit[] = references.map((reference) => ({
    offset: reference.offset,
    length: reference.length,
    text: names.get(imageKey(reference)) ?? '',
  }));
  for (const image of fetched) edits.push(...copyInstead(image, text));
  const { syntax } = dockerfile.directives;
  if (syntax !== undefined) {
    const start = lineStart(text, syntax.offset);
    const end = text.indexOf('\n', start);
    edits.push({ offset: start, length: (end === -1 ? text.length : end + 1) - start, text: '' });
  }
  for (const { instructions } of dockerfile.stages) {
    const [first] = instructions;
    if (first === undefined) continue;
    const declaration = `ARG SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH}\n`;
    edits.push({ offset: lineStart(text, first.offset), length: 0, text: declaration });
  }
  return applied(text, edits);
}

/** Has an ADD of what was fetched be a COPY from the image that has it, with the flags that COPY has. */
function copyInstead({ step, name, path }: FetchedImage, text: string): readonly Edit[] {
  const { instruction, sources } = step;
  const { offset, flags } = instruction;
  const dropped = flags.filter((flag) => ['checksum', 'keep-git-dir'].includes(flag.name));
  const written = (place: { readonly offset: number; readonly length: number }): string => {
    if (text[place.offset] !== '[' || instruction.keyword !== 'ADD') return path;
    // Words of a JSON array have the place of the whole.
    return JSON.stringify([path, instruction.destination.text]);
  };
  return [
    { offset, length: 'ADD'.length, text: `COPY --from=${name}` },
    ...dropped.map((flag) => ({ offset: flag.offset, length: flag.length, text: '' })),
    ...sources.map((source) => ({
      offset: source.offset,
      length: source.length,
      text: written(source),
    })),
  ];
}

/** A name for each image, by `imageKey`. */
export function contextNames({
  references,
}: Pick<RequestPlan, 'references'>): ReadonlyMap<string, string> {
  const keys = new Set(references.map((reference) => imageKey(reference)));
  return new Map([...keys].map((key, index) => [key, `lkt-base-${index}`]));
}

function lineStart(text: string, offset: number): number {
  return text.lastIndexOf('\n', offset - 1) + 1;
}

function applied(text: string, edits: readonly Edit[]): string {
  let result = '';
  let at = 0;
  for (const edit of edits.toSorted((a, b) => a.offset - b.offset)) {
    result += text.slice(at, edit.offset) + edit.text;
    at = edit.offset + edit.length;
  }
  return result + text.slice(at);
}
