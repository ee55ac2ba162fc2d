import type { JsonSchema } from '@lkt/core';
import { LktCommand } from '../command.ts';
import { Args } from '../flags/options.ts';

const FILES = ['image', 'build'] as const;

export class Schema extends LktCommand {
  static override summary = 'Print the JSON schema of image configs or of build.yml';
  static override description = `For editors, which then complete keys and show what they mean, and for programs that write such files. It comes from what reads the files, and takes all that lkt takes; lkt checks more.

A copy of each is in docs/schema of lkt. An editor with yaml-language-server takes it from a first line such as "# yaml-language-server: $schema=image.json".`;
  static override examples = ['<%= config.bin %> schema image > image.json'];
  static override args = {
    file: Args.string({ description: 'which file', required: true, options: [...FILES] }),
  };

  async run(): Promise<JsonSchema> {
    const { args } = await this.parse(Schema);
    const schema =
      args.file === 'image'
        ? (await import('@lkt/image')).imageConfigSchema()
        : (await import('@lkt/pkg')).buildYmlSchema();
    this.log(JSON.stringify(schema, null, 2));
    return schema;
  }
}
