import type { ProgressEvent, Reporter } from '@lkt/core';

/**
 * Returns a reporter that makes the events of an image build substeps of the package: it prefixes
 * their ids with the package's name.
 * @param platform added to the title of every step, if the package is built for several
 */
export function stepReporter(
  reporter: Reporter,
  name: string,
  platform: string | undefined,
): Reporter {
  const owner = `${name}:`;
  const idOf = (id: string): string => {
    const own = id.startsWith(owner) ? id.slice(owner.length) : id;
    return platform === undefined ? `${owner}${own}` : `${owner}${platform} ${own}`;
  };
  const named = (event: ProgressEvent): ProgressEvent => {
    if (!('id' in event)) return event;
    const id = idOf(event.id);
    if (event.kind !== 'start' || platform === undefined) return { ...event, id };
    return { ...event, id, title: `${platform} ${event.title}` };
  };
  return { emit: (event) => reporter.emit(named(event)) };
}
