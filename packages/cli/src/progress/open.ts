import type { ProgressMode } from '../session/environment.ts';
import type { Clock, Display, Screen } from './display.ts';
import { jsonDisplay } from './json.ts';
import { plainDisplay } from './plain.ts';
import { quietDisplay } from './quiet.ts';
import { ttyDisplay } from './tty.ts';

export function openDisplay(
  mode: Exclude<ProgressMode, 'auto'>,
  screen: Screen,
  clock: Clock,
): Display {
  const open = { tty: ttyDisplay, plain: plainDisplay, json: jsonDisplay, quiet: quietDisplay };
  return open[mode](screen, clock);
}
