/** `[address:][[published]:]port[/protocol]`, ports also as ranges. */
const SPEC =
  /^(?:(?<mapping>(?:(?:\[[0-9A-Fa-f:.]+\]|[0-9.]+):)?(?:\d{1,5}(?:-\d{1,5})?)?):)?(?<first>\d{1,5})(?:-(?<last>\d{1,5}))?(?:\/(?<protocol>tcp|udp|sctp))?$/i;

export interface ExposedPorts {
  /** The keys of `ExposedPorts`. */
  readonly ports: readonly string[];
  /** Whether it says where ports are published, which EXPOSE does not do. */
  readonly isMapping: boolean;
  readonly isLowerCase: boolean;
}

/** What `80`, `53/udp`, `8000-8010` and `127.0.0.1:8080:80` expose; undefined for anything else. */
export function exposedPorts(text: string): ExposedPorts | undefined {
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
