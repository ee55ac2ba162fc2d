import { documentOf, reportBody } from '../page/document.ts';
import { type Html, markup } from '../page/html.ts';
import { TABLE_SCRIPT, tableOf } from '../page/table.ts';
import {
  durationText,
  type FleetReport,
  type GroupReport,
  groupState,
  healthText,
  shortDigest,
} from './report.ts';

/** Returns the page of a fleet. */
export function statusPage(report: FleetReport, time: Date): string {
  const { fleet, groups, orphans, isConverged, unreachable } = report;
  const away = Object.entries(unreachable);
  const lead = markup`<p class="soft">${time.toISOString()}: ${isConverged ? 'all nodes are as wanted' : 'nodes are being changed'}.</p>
${away.map(([name, message]) => markup`<p class="bad">Provider ${name} does not answer: ${message}.</p>`)}
${orphans.length === 0 ? undefined : markup`<p class="bad">Nodes whose group is not in the file: ${orphans.join(', ')}.</p>`}`;
  const sections = groups.map((group) => ({ title: group.name, body: groupBody(group) }));
  return documentOf({
    title: `${fleet} - lkt fleet`,
    body: reportBody(fleet, lead, sections),
    script: TABLE_SCRIPT,
  });
}

function groupBody(group: GroupReport): Html {
  const { available, size, image, holds, nodes } = group;
  return markup`<p>${available} of ${size} available, ${groupState(group)}; image ${shortDigest(image)}</p>
${holds.map((hold) => markup`<p class="bad">Held back: ${hold}.</p>`)}
${tableOf({
  label: `Nodes of ${group.name}`,
  columns: [
    { title: 'Node' },
    { title: 'State' },
    { title: 'Health' },
    { title: 'Image' },
    { title: 'Age', isNumber: true },
    { title: 'Expires in', isNumber: true },
    { title: 'Replaced for' },
    { title: 'Problem' },
  ],
  rows: nodes.map((node) => {
    const { name, state: word, image: own, age, expiresIn, replacedFor, problem } = node;
    const life = expiresIn === undefined ? 'never' : durationText(Math.max(0, expiresIn));
    return [
      name,
      word,
      healthText(node),
      shortDigest(own),
      durationText(age),
      life,
      replacedFor,
      problem,
    ];
  }),
})}`;
}
