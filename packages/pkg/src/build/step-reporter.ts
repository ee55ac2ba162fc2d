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
  const prefix = platform === undefined ? owner : `${owner}${platform} `;
  const named = (event: ProgressEvent): ProgressEvent => {
    if (!('id' in event)) return event;
    const own = event.id.startsWith(owner) ? event.id.slice(owner.length) : event.id;
    const id = `${prefix}${own}`;
    if (event.kind !== 'start' || platform === undefined) return { ...event, id };
    return { ...event, id, title: `${platform} ${event.title}` };
  };
  return { emit: (event) => reporter.emit(named(event)) };
}
