import type { ImageDiff } from '@lkt/inspect';
import { LktCommand } from '../command.ts';
import { Args } from '../flags/options.ts';
import { diffLines } from '../output/diff-report.ts';
import { VIEW_DESCRIPTION, viewFlags, viewTarget } from '../session/image-views.ts';

export class Diff extends LktCommand {
  static override summary = 'Say what differs between two images, and why';
  static override description = `Two builds, two configs or two packages: which package is another one and by which of its inputs, what the config says, the kernel's command line, versions in the SBOMs, and each file that was added, removed or changed, with the package that it is from. Nothing is built or written.

Exits with 0 if nothing differs, with 1 if something does, and with 2 if that cannot be said, as diff does. docs/inspect.md describes it.`;
  static override examples = [
    '<%= config.bin %> diff old/sshd new/sshd',
    '<%= config.bin %> diff examples/minimal.yml examples/sshd.yml',
    '<%= config.bin %> diff lkt/sshd:TAG pkg/sshd',
  ];
  static override args = {
    before: Args.string({ description: VIEW_DESCRIPTION, required: true }),
    after: Args.string({ description: 'the same', required: true }),
  };
  static override flags = viewFlags;
  static override failedExit = 2;

  async run(): Promise<ImageDiff> {
    const { args, flags } = await this.parse(Diff);
    const session = await this.begin(flags);
    const { view: before, platform } = await viewTarget(session, args.before, flags);
    const { view: after } = await viewTarget(session, args.after, flags);
    const { diffImages } = await import('@lkt/inspect');
    const store = await session.findStore();
    const diff = await diffImages(before, after, store, platform, session.signal);
    this.endProgress();
    for (const line of diffLines(diff)) this.log(line);
    // Not an error, of which something would be said. Builds of which all files are the same need no closer look.
    const isUnsure = diff.unread !== undefined && before.kind !== 'build';
    process.exitCode = diff.isSame ? (isUnsure ? 2 : 0) : 1;
    return diff;
  }
}
