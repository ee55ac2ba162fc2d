import { resolve } from 'node:path';
import { LktCommand } from '../command.ts';
import { listenFlag, parseAddress } from '../flags/listen-address.ts';
import { valueFlag } from '../flags/options.ts';
import { printable } from '../output/printable.ts';

export class Serve extends LktCommand {
  static override summary = 'Serve the files of a directory over HTTP';
  static override description =
    'For booting from the network. Runs until Ctrl-C. Only this machine can connect unless an address is given. Does not follow symbolic links out of the directory.';
  static override examples = ['<%= config.bin %> serve --listen :8080 --directory out'];
  static override flags = {
    directory: valueFlag('DIR', 'directory to serve', { default: '.' }),
    listen: listenFlag('8080'),
  };

  async run(): Promise<{ served: number }> {
    const { flags } = await this.parse(Serve);
    const session = await this.begin(flags);
    const { serveDirectory } = await import('@lkt/server');
    const listen = parseAddress(flags.listen);
    const directory = resolve(session.environment.cwd, flags.directory);
    this.endProgress();
    const served = await serveDirectory(directory, listen, {
      signal: session.signal,
      onListen: (address) => this.log(`http://${address}/`),
      onRequest: (line) => {
        if (!flags.quiet) process.stderr.write(`${printable(line)}\n`);
      },
    });
    return { served };
  }
}
