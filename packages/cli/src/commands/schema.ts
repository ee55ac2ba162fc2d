import type { JsonSchema } from '@lkt/core';
import { LktCommand } from '../command.ts';
import { Args } from '../flags/options.ts';

const FILES = ['image', 'build'] as const;

export class Schema extends LktCommand {
  static override summary = 'Print the JSON schema of image configs or of build.yml';
  static override description = `For editors, and programs that write such files. lkt checks more than the schema. docs/schema has a copy of each. With yaml-language-server, begin a file with "# yaml-language-server: $schema=image.json".`;
  static override examples = ['<%= config.bin %> schema image > image.json'];
  static override args = {
    file: Args.string({ description: 'the kind of file', required: true, options: [...FILES] }),
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
