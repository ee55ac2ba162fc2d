import { type Graph as Found } from '@lkt/image';
import { buildTools, workspaceAt } from '../session/build-tools.ts';
import { LktCommand } from '../command.ts';
import { readConfigFile } from '../session/config-file.ts';
import { Args, Flags } from '../flags/options.ts';
import { print } from '../output/print.ts';
import { givenVariables, setFlags } from '../flags/set.ts';

export class Graph extends LktCommand {
  static override summary =
    'Show what packages and images are made from, and how it stands with them';
  static override description = `All packages of the checkout, the images that they and the image configs name, and the configs: FILE, or examples/*.yml without any. Nothing is built, pulled or written to find out.

"built": what the sources are now has been built here. "pinned": all that it names has a digest, or is a package of the checkout as it is now. "stale": it names a package of the checkout by what that one was before, see "lkt pin". "signed": the store has a signature, see "lkt verify". "ready": the store has all that an image is made from. What is followed by … has been shown above.`;
  static override examples = [
    '<%= config.bin %> graph',
    '<%= config.bin %> graph --html > graph.html',
    '<%= config.bin %> graph --dot examples/sshd.yml | dot -Tsvg > graph.svg',
  ];
  static override args = {
    file: Args.string({ description: 'an image config', multiple: true }),
  };
  static override flags = {
    ...setFlags,
    dot: Flags.boolean({ summary: 'in the language of Graphviz' }),
    html: Flags.boolean({ summary: 'as a page: one file that loads no other', exclusive: ['dot'] }),
    platforms: Flags.string({
      summary: 'for which it is asked what has been built; by default linux/amd64',
      helpValue: 'linux/amd64,…',
      delimiter: ',',
      multiple: true,
      multipleNonGreedy: true,
    }),
  };

  async run(): Promise<Found> {
    const { args, flags } = await this.parse(Graph);
    const session = await this.begin(flags);
    const { cwd } = session.environment;
    const { checkoutConfigs, readGraph } = await import('@lkt/image');
    const { parsePlatform } = await import('@lkt/oci');
    const workspace = await workspaceAt(session, cwd);
    const files = args.file ?? (await checkoutConfigs(workspace, cwd));
    const configs = await Promise.all(files.map((file) => readConfigFile(file, session)));
    const platforms = flags.platforms?.map(parsePlatform);
    const tools = await buildTools(session);
    const options = { ...tools, ...(platforms === undefined ? {} : { platforms }) };
    const graph = await readGraph(workspace, configs, options, { set: givenVariables(flags) });
    this.endProgress();
    if (!this.jsonEnabled()) print(await textOf(graph, flags));
    return graph;
  }
}

async function textOf(
  graph: Found,
  { dot, html }: { readonly dot: boolean; readonly html: boolean },
): Promise<string> {
  if (dot) return (await import('../graph/dot.ts')).dotText(graph);
  if (html) return (await import('../graph/html.ts')).htmlPage(graph);
  const { treeLines } = await import('../graph/tree.ts');
  return treeLines(graph)
    .map((line) => `${line}\n`)
    .join('');
}
