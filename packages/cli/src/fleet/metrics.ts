import type { FleetReport } from './report.ts';

/** Metrics of each group, with the help text of Prometheus. */
const METRICS = [
  ['lkt_fleet_nodes_wanted', 'Nodes that the group is to have.', 'size'],
  ['lkt_fleet_nodes_available', 'Nodes that are ready and healthy.', 'available'],
  ['lkt_fleet_nodes_current', 'Ready nodes with the wanted image and template.', 'current'],
  ['lkt_fleet_nodes_stale', 'Nodes that are to be replaced.', 'stale'],
  ['lkt_fleet_converged', 'Whether all nodes are as wanted.', 'isConverged'],
  ['lkt_fleet_halted', 'Whether the roll has halted.', 'isHalted'],
  ['lkt_fleet_rolled_back', 'Whether the image of the file was rolled back.', 'isRolledBack'],
  ['lkt_fleet_paused', 'Whether only a pause holds nodes back.', 'isPaused'],
] as const;

/** Returns a report in the text format of Prometheus. */
export function metricsOf({ fleet, groups, orphans, unreachable }: FleetReport): string {
  const group = (name: string): string => `fleet=${quoted(fleet)},group=${quoted(name)}`;
  const lines = METRICS.flatMap(([name, help, key]) => [
    ...heading(name, help),
    ...groups.map((one) => `${name}{${group(one.name)}} ${Number(one[key])}`),
  ]);
  const nodes = groups.flatMap((one) => one.nodes);
  const ages = nodes.map(
    ({ group: of, name, age }) =>
      `lkt_fleet_node_age_seconds{${group(of)},node=${quoted(name)}} ${age}`,
  );
  const lives = nodes.flatMap(({ group: of, name, expiresIn }) =>
    expiresIn === undefined
      ? []
      : [`lkt_fleet_node_expires_in_seconds{${group(of)},node=${quoted(name)}} ${expiresIn}`],
  );
  return `${[
    ...lines,
    ...heading('lkt_fleet_node_age_seconds', 'Age of a node.'),
    ...ages,
    ...heading('lkt_fleet_node_expires_in_seconds', 'Time until a node expires.'),
    ...lives,
    ...heading('lkt_fleet_orphans', 'Nodes whose group is not in the file.'),
    `lkt_fleet_orphans{fleet=${quoted(fleet)}} ${orphans.length}`,
    ...heading('lkt_fleet_providers_unreachable', 'Providers that do not answer.'),
    `lkt_fleet_providers_unreachable{fleet=${quoted(fleet)}} ${Object.keys(unreachable).length}`,
  ].join('\n')}\n`;
}

/** Returns the value of a label. */
function quoted(text: string): string {
  const escaped = text.replaceAll(/["\\]/g, String.raw`\$&`).replaceAll('\n', String.raw`\n`);
  return `"${escaped}"`;
}

function heading(name: string, help: string): readonly string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} gauge`];
}
