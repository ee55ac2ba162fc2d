import type { JsonSchema } from '@lkt/core';
import { LktCommand } from '../command.ts';
import { Args } from '../flags/options.ts';

const FILES = ['image', 'build', 'workspace', 'lock', 'fleet'] as const;

export class Schema extends LktCommand {
  static override summary =
    'Print the JSON schema of image configs, their lock files, build.yml, lkt.yml or fleet.yml';
  static override description = `For editors; lkt checks more than the schema. With yaml-language-server, begin a file with "# yaml-language-server: $schema=image.json".`;
  static override examples = ['<%= config.bin %> schema image > image.json'];
  static override args = {
    file: Args.string({ description: 'the kind of file', required: true, options: [...FILES] }),
  };

  async run(): Promise<JsonSchema> {
    const { args } = await this.parse(Schema);
    const schema = await schemaOf(args.file);
    this.log(JSON.stringify(schema, null, 2));
    return schema;
  }
}

async function schemaOf(file: string): Promise<JsonSchema> {
  if (file === 'image') return (await import('@lkt/image')).imageConfigSchema();
  if (file === 'lock') return (await import('@lkt/image')).lockSchema();
  if (file === 'fleet') return (await import('@lkt/fleet')).fleetSchema();
  const { buildYmlSchema, workspaceSchema } = await import('@lkt/pkg');
  return file === 'build' ? buildYmlSchema() : workspaceSchema();
}
