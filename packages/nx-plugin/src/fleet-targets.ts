import { runTarget } from './command.ts';
import type { Settings } from './options.ts';
import type { Targets } from './package-targets.ts';

/** Returns the targets of a fleet. Neither is cached: both ask the providers of the nodes. */
export function fleetTargets(file: string, { lkt }: Pick<Settings, 'lkt'>): Targets {
  return {
    'fleet-plan': runTarget(`Show what would change in the fleet of ${file}`, lkt, [
      'fleet',
      'plan',
      '--file',
      file,
    ]),
    'fleet-apply': runTarget(`Make the nodes as ${file} wants them`, lkt, [
      'fleet',
      'apply',
      '--file',
      file,
    ]),
  };
}
