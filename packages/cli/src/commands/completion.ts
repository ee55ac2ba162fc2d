import { basename } from 'node:path';
import { LktError } from '@lkt/core';
import { type CommonFlags, LktCommand } from '../command.ts';
import { Args, switchFlag } from '../flags/options.ts';
import { machineRecords } from '../machines/recorded-run.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;

export class Completion extends LktCommand {
  static override summary = 'Print a completion script for a shell';
  static override examples = [
    {
      description: 'bash, for this user',
      command: '<%= config.bin %> completion bash > ~/.local/share/bash-completion/completions/lkt',
    },
    {
      description: 'zsh, in a directory of $fpath',
      command: '<%= config.bin %> completion zsh > ~/.zfunc/_lkt',
    },
    {
      description: 'fish',
      command: '<%= config.bin %> completion fish > ~/.config/fish/completions/lkt.fish',
    },
  ];
  static override args = {
    shell: Args.string({ description: 'the shell; default: that of $SHELL', options: SHELLS }),
  };
  static override flags = {
    machines: switchFlag('print the names of running machines, for the scripts', { hidden: true }),
  };

  async run(): Promise<{ readonly script: string } | { readonly machines: readonly string[] }> {
    const { args, flags } = await this.parse(Completion);
    if (flags.machines) return this.#machines(flags);
    const shell = SHELLS.find(
      (one) => one === (args.shell ?? basename(process.env['SHELL'] ?? '')),
    );
    if (shell === undefined)
      throw new LktError('USAGE_INVALID', '$SHELL has no completion script', {
        fix: `name one of ${SHELLS.join(', ')}`,
      });
    const { commandTable } = await import('../help/table.ts');
    const table = commandTable(await this.allCommands());
    const { bash } = await import('../completion/bash.ts');
    const { fish } = await import('../completion/fish.ts');
    const { zsh } = await import('../completion/zsh.ts');
    const script = { bash, fish, zsh }[shell](table);
    this.log(script.trimEnd());
    return { script };
  }

  async #machines(flags: CommonFlags): Promise<{ readonly machines: readonly string[] }> {
    const session = await this.begin(flags);
    const running = await (await machineRecords(session)).list();
    // The shell expands the words that it offers, so names with other characters are left out.
    const machines = running.map(({ name }) => name).filter((name) => /^[\w.-]+$/.test(name));
    this.endProgress();
    for (const name of machines) this.log(name);
    return { machines };
  }
}
