import { baseName, fromRaw, parentPath } from '@lkt/oci';
import { cause, type Cause } from './cause.ts';
import { classifyContent } from './classify-bytes.ts';
import { type BuildFacts, classifyText } from './classify-text.ts';
import type { EntryDifference } from './layer-diff.ts';
import type { FileDifference } from './report.ts';

/**
 * Describes the differences between the files of two layers. Pairs files that exist in only one
 * build.
 */
export function fileDifferences(
  entries: readonly EntryDifference[],
  facts: BuildFacts,
): readonly FileDifference[] {
  const lonely = new Set(
    entries
      .filter(({ first, second }) => first === undefined || second === undefined)
      .map(({ path }) => path),
  );
  // Omits the content of missing directories.
  const shown = entries.filter(({ path }) => !lonely.has(parentPath(path)));
  const paired = new Set<string>();
  return shown.flatMap((entry): FileDifference[] => {
    const { path, first, second } = entry;
    if (first !== undefined && second !== undefined) return [sameName(entry, facts)];
    if (paired.has(path)) return [];
    const partner = shown.find(
      (other) =>
        !paired.has(other.path) &&
        other.path !== path &&
        parentPath(other.path) === parentPath(path) &&
        (first === undefined ? other.second : other.first) === undefined &&
        (other.first ?? other.second)?.type === (first ?? second)?.type,
    );
    paired.add(path);
    if (partner === undefined) {
      const which = first === undefined ? 'second' : 'first';
      return [{ path: display(path), what: `only in the ${which} build`, cause: absent(facts) }];
    }
    paired.add(partner.path);
    const [one, other] = first === undefined ? [partner.path, path] : [path, partner.path];
    const names = [baseName(one), baseName(other)] as const;
    const why = classifyText(...names, facts).cause;
    return [
      {
        path: display(one),
        what: `is named ${JSON.stringify(fromRaw(names[1]))} in the second build`,
        cause: why.kind === 'unknown' || why.kind === 'machine' ? absent(facts) : why,
      },
    ];
  });
}

function absent(facts: BuildFacts): Cause {
  const command = facts.command;
  return cause(/mktemp|RANDOM|urandom|uuid/i.test(command) ? 'random' : 'unknown');
}

function sameName(entry: EntryDifference, facts: BuildFacts): FileDifference {
  const path = display(entry.path);
  const { first, second } = entry;
  if (first === undefined || second === undefined) throw new Error('unreachable');
  if (first.type !== second.type)
    return { path, what: `is a ${first.type}, then a ${second.type}`, cause: cause('unknown') };
  if (entry.contentDiffers) {
    if (entry.contents === undefined || entry.contents[0].equals(entry.contents[1]))
      return { path, what: 'has different content', cause: cause('unknown') };
    const { text, cause: why } = classifyContent(entry.path, ...entry.contents, facts);
    return { path, what: text, cause: why };
  }
  if (first.link !== second.link) {
    const found = classifyText(first.link ?? '', second.link ?? '', facts);
    const what = `links to ${JSON.stringify(found.first)}, then to ${JSON.stringify(found.second)}`;
    return { path, what, cause: found.cause };
  }
  if (first.uid !== second.uid || first.gid !== second.gid) {
    const what = `belongs to ${first.uid}:${first.gid}, then to ${second.uid}:${second.gid}`;
    return { path, what, cause: cause('owner') };
  }
  if (first.mode !== second.mode) {
    const what = `has mode ${first.mode.toString(8)}, then ${second.mode.toString(8)}`;
    return { path, what, cause: cause('unknown', { fix: 'set the mode: chmod' }) };
  }
  if (first.mtime !== second.mtime) {
    const what = `has the time ${first.mtime}, then ${second.mtime}`;
    const fix = 'set the time: touch -d "@$SOURCE_DATE_EPOCH"';
    return { path, what, cause: cause('time', { fix }) };
  }
  return { path, what: 'has different attributes', cause: cause('unknown') };
}

function display(path: string): string {
  return `/${fromRaw(path)}`;
}
