import type { ListInstruction } from '../parse/ast.ts';
import type { CopyContext } from './copy-step.ts';

/** The ports that an EXPOSE names, as the keys of `ExposedPorts` in the config of an image. */
export function evaluateExpose(
  instruction: ListInstruction,
  { reader, source, variables }: Pick<CopyContext, 'reader' | 'source' | 'variables'>,
): readonly string[] {
  const ports: string[] = [];
  for (const word of instruction.values) {
    for (const text of reader.words(word, variables)) {
      const exposed = exposedPorts(text);
      if (exposed === undefined) {
        throw source.error(
          word,
          `"${text}" is not a port`,
          'write a number from 1 to 65535, a range such as 8000-8010, and /udp where it is not TCP',
        );
      }
      if (exposed.isMapping) {
        const said = `EXPOSE says the port of the image alone, here ${exposed.ports[0] ?? ''}; where it is published is said when it runs`;
        reader.warn(word, said, 'ExposeInvalidFormat');
      }
      if (!exposed.isLowerCase) {
        const said = `the protocol in ${text} is written in lower case`;
        reader.warn(word, said, 'ExposeProtoCasing');
      }
      ports.push(...exposed.ports);
    }
  }
  return ports;
}

/** `[address:][[published]:]port[/protocol]`, ports also as ranges. */
const SPEC =
  /^(?:(?<mapping>(?:(?:\[[0-9A-Fa-f:.]+\]|[0-9.]+):)?(?:\d{1,5}(?:-\d{1,5})?)?):)?(?<first>\d{1,5})(?:-(?<last>\d{1,5}))?(?:\/(?<protocol>tcp|udp|sctp))?$/i;

interface ExposedPorts {
  /** The keys of `ExposedPorts`. */
  readonly ports: readonly string[];
  /** Whether it says where ports are published, which EXPOSE does not do. */
  readonly isMapping: boolean;
  readonly isLowerCase: boolean;
}

/** What `80`, `53/udp`, `8000-8010` and `127.0.0.1:8080:80` expose; undefined for anything else. */
function exposedPorts(text: string): ExposedPorts | undefined {
  const groups = SPEC.exec(text)?.groups;
  if (groups === undefined) return undefined;
  const first = Number(groups['first']);
  const last = groups['last'] === undefined ? first : Number(groups['last']);
  if (first < 1 || last > 65_535 || last < first) return undefined;
  const written = groups['protocol'] ?? 'tcp';
  const protocol = written.toLowerCase();
  return {
    ports: Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${protocol}`),
    isMapping: groups['mapping'] !== undefined,
    isLowerCase: written === protocol,
  };
}
