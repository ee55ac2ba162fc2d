import { realpathSync } from 'node:fs';
import type { Graph as DependencyGraph } from '@lkt/image';
import { checkoutConfigs } from '@lkt/image/checkout-configs';
import { findTopWithoutGit, isOutside } from '@lkt/git/work-tree';
import { findResult } from '@lkt/pkg/action-cache';
import { workspaceRoot } from '@lkt/pkg/find-workspace';
import { LktCommand } from '../command.ts';
import { type FlagValues, listFlag, optionalArgs, switchFlag } from '../flags/options.ts';
import { givenVariables, setFlags } from '../flags/set.ts';
import { htmlFlag, writePage } from '../output/html-file.ts';
import { print } from '../output/print.ts';
import { actionPath, cacheResult } from '../session/action-cache.ts';
import { buildTools, workspaceAt } from '../session/build-tools.ts';
import { readConfigFiles } from '../session/config-file.ts';
import type { Session } from '../session/session.ts';
import { warnNothingHere } from '../targets/nothing-here.ts';

export class Graph extends LktCommand {
  static override summary = 'Show the dependency graph and build status of packages and images';
  static override description = `Shows all packages of the checkout, the image configs, and the images that they name. Builds, pulls and writes nothing.

- built: the current sources are built here
- pulled: the store has the pinned image of a package of a collection
- pinned: every reference has a digest, or is a package of the checkout in its current state
- stale: it names an earlier state of a package; run "lkt pin"
- signed: the store has a signature, not verified
- ready: the store has everything the image is made from

… marks an entry shown above (docs/graph.md).`;
  static override examples = [
    '<%= config.bin %> graph --html sshd.html examples/sshd.yml',
    '<%= config.bin %> graph --dot examples/sshd.yml | dot -Tsvg > graph.svg',
  ];
  static override args = {
    config: optionalArgs('an image config; default: those of the workspace'),
  };
  static override flags = {
    ...setFlags,
    dot: switchFlag('print the graph for Graphviz', { exclusive: ['html'] }),
    ...htmlFlag,
    platforms: listFlag(
      'linux/amd64,…',
      'platform whose build status is shown; default: linux/amd64',
      { delimiter: ',' },
    ),
  };

  async run(): Promise<DependencyGraph> {
    const { args, flags } = await this.parse(Graph);
    const session = await this.begin(flags);
    const { cwd, variables } = session.environment;
    const files = args.config ?? (await configsWithoutGit(realpathSync(cwd), session));
    const path = files === undefined ? undefined : graphActionPath(session, files, flags);
    const cached =
      path === undefined
        ? undefined
        : await findResult<DependencyGraph>(session.sealed.read(path), variables);
    const graph = cached ?? (await this.#read(session, files, flags, path));
    const written =
      flags.html === undefined
        ? undefined
        : await writePage(flags.html, { cwd, json: this.jsonEnabled() }, async () => {
            const { htmlPage } = await import('../graph/html.ts');
            const images = graph.nodes.filter(({ kind }) => kind === 'image');
            return htmlPage(graph, args.config === undefined ? [] : images.map(({ name }) => name));
          });
    if (graph.nodes.length === 0) warnNothingHere(session.reporter);
    this.endProgress();
    for (const line of written ?? []) this.log(line);
    if (written === undefined && !this.jsonEnabled()) print(await textOf(graph, flags.dot));
    return graph;
  }

  async #read(
    session: Session,
    files: readonly string[] | undefined,
    flags: FlagValues<typeof Graph.flags>,
    path: string | undefined,
  ): Promise<DependencyGraph> {
    const { readGraph } = await import('@lkt/image');
    const { parsePlatform } = await import('@lkt/oci');
    const { cwd } = session.environment;
    const workspace = await workspaceAt(session, cwd);
    const names = files ?? (await checkoutConfigs(workspace.root, cwd));
    const configs = await readConfigFiles(names, session);
    const platforms = flags.platforms?.map(parsePlatform);
    const tools = await buildTools(session);
    const options = platforms === undefined ? tools : { ...tools, platforms };
    const set = givenVariables(flags);
    const { graph, inputs } = await readGraph(workspace, configs, options, { set });
    await cacheResult(session, tools.store, path, { inputs, result: graph });
    return graph;
  }
}

/** Returns the configs of the workspace; undefined if only git knows its root. */
async function configsWithoutGit(
  dir: string,
  { environment: { cwd, variables } }: Session,
): Promise<readonly string[] | undefined> {
  const top = findTopWithoutGit(dir, variables);
  if (top === undefined && !isOutside(dir)) return undefined;
  return checkoutConfigs(workspaceRoot(dir, top), cwd);
}

/** Returns the action cache's entry for a graph; undefined for one that reads standard input. */
function graphActionPath(
  session: Session,
  args: readonly string[],
  { dot: _dot, html: _html, ...flags }: Readonly<Record<string, unknown>>,
): string | undefined {
  if (args.includes('-')) return undefined;
  const trackedFlags = new Set(['cache', 'platforms', 'set']);
  return actionPath(session, { area: 'results', name: 'graph', args, flags, trackedFlags });
}

async function textOf(graph: DependencyGraph, isDot: boolean): Promise<string> {
  if (isDot) return (await import('../graph/dot.ts')).dotText(graph);
  const { treeLines } = await import('../graph/tree.ts');
  return treeLines(graph)
    .map((line) => `${line}\n`)
    .join('');
}
