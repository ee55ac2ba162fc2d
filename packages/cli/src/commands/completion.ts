import { LktCommand } from '../command.ts';
import { Args } from '../flags/options.ts';

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
    shell: Args.string({ description: 'the shell', required: true, options: SHELLS }),
  };

  async run(): Promise<{ script: string }> {
    const { args } = await this.parse(Completion);
    const { commandTable } = await import('../help/table.ts');
    const table = commandTable(await this.allCommands());
    const { bash } = await import('../completion/bash.ts');
    const { fish } = await import('../completion/fish.ts');
    const { zsh } = await import('../completion/zsh.ts');
    const write = { bash, fish, zsh }[args.shell as (typeof SHELLS)[number]];
    const script = write(table);
    this.log(script.trimEnd());
    return { script };
  }
}
