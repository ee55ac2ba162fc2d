import type { ListInstruction } from '../parse/ast.ts';
import type { CopyContext } from './copy-step.ts';

/**
 * Returns the ports of an EXPOSE as keys of `ExposedPorts` in an image config.
 * @throws DOCKERFILE_INVALID for a word that is not a port
 */
export function evaluateExpose(
  instruction: ListInstruction,
  { reader, source, variables }: Pick<CopyContext, 'reader' | 'source' | 'variables'>,
): readonly string[] {
  const ports: string[] = [];
  for (const word of instruction.values) {
    for (const text of reader.words(word, variables)) {
      const exposed = exposedPorts(text);
      if (exposed === undefined)
        throw source.error(
          word,
          `"${text}" is not a port`,
          'write a number from 1 to 65535, or a range such as 8000-8010, with /udp if it is not TCP',
        );
      if (exposed.isMapping) {
        const message = `EXPOSE takes only the container's port, here ${exposed.ports[0] ?? ''}; publish ports when you run the image`;
        reader.warn(word, message, 'ExposeInvalidFormat');
      }
      if (!exposed.isLowerCase) {
        const message = `the protocol in ${text} should be in lower case`;
        reader.warn(word, message, 'ExposeProtoCasing');
      }
      ports.push(...exposed.ports);
    }
  }
  return ports;
}

/** `[address:][[published]:]port[/protocol]`; ports can be ranges. */
const PORT_SPEC =
  /^(?:(?<mapping>(?:(?:\[[0-9A-Fa-f:.]+\]|[0-9.]+):)?(?:\d{1,5}(?:-\d{1,5})?)?):)?(?<first>\d{1,5})(?:-(?<last>\d{1,5}))?(?:\/(?<protocol>tcp|udp|sctp))?$/i;

interface ExposedPorts {
  /** Keys of `ExposedPorts`. */
  readonly ports: readonly string[];
  /** Whether the word has the form of a published port, which EXPOSE ignores. */
  readonly isMapping: boolean;
  readonly isLowerCase: boolean;
}

/** Parses `80`, `53/udp`, `8000-8010` or `127.0.0.1:8080:80`; undefined for anything else. */
function exposedPorts(text: string): ExposedPorts | undefined {
  const groups = PORT_SPEC.exec(text)?.groups;
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
