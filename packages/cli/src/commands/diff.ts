import type { ImageDiff } from '@lkt/inspect';
import { LktCommand } from '../command.ts';
import { requiredArg } from '../flags/options.ts';
import { diffLines } from '../output/diff-report.ts';
import { htmlFlag, writePage } from '../output/html-file.ts';
import { VIEW_DESCRIPTION, viewFlags, viewTarget } from '../targets/image-view.ts';

export class Diff extends LktCommand {
  static override summary = 'Show what differs between two images, and why';
  static override description = `Shows changed packages with their changed inputs, config values, the kernel command line, versions in the SBOMs, and changed files. Builds nothing. Exits with 0 if nothing differs, 1 if something does, 2 on an error (docs/inspect.md).`;
  static override examples = [
    '<%= config.bin %> diff old/sshd new/sshd',
    '<%= config.bin %> diff lkt/sshd:TAG pkg/sshd',
    '<%= config.bin %> diff --html diff.html old/sshd new/sshd',
  ];
  static override args = {
    before: requiredArg(VIEW_DESCRIPTION),
    after: requiredArg('the other image, likewise'),
  };
  static override flags = { ...viewFlags, ...htmlFlag };
  static override failedExit = 2;

  async run(): Promise<ImageDiff> {
    const { args, flags } = await this.parse(Diff);
    const session = await this.begin(flags);
    const { view: before, platform } = await viewTarget(session, args.before, flags);
    const { view: after } = await viewTarget(session, args.after, flags);
    const { diffImages } = await import('@lkt/inspect');
    const store = await session.findStore();
    const diff = await diffImages(before, after, store, platform, session.signal);
    const written =
      flags.html === undefined
        ? diffLines(diff)
        : await writePage(
            flags.html,
            { cwd: session.environment.cwd, json: this.jsonEnabled() },
            async () => {
              const { diffPage } = await import('../output/diff-page.ts');
              return diffPage(args.before, args.after, diff);
            },
          );
    this.endProgress();
    for (const line of written) this.log(line);
    // Exit code 2, not an error: the report already says so. Builds with equal files need no
    // reading.
    const isUnsure = diff.unread !== undefined && before.kind !== 'build';
    process.exitCode = diff.isSame ? (isUnsure ? 2 : 0) : 1;
    return diff;
  }
}
