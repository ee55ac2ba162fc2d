/** A message of `--progress rawjson` (BuildKit, client/graph.go, SolveStatus). */
export interface SolveStatus {
  readonly vertexes: readonly Vertex[];
  readonly statuses: readonly Transfer[];
  readonly logs: readonly LogChunk[];
}

/** A vertex of BuildKit's graph; times are RFC 3339, absent until they are known. */
export interface Vertex {
  readonly digest: string;
  readonly name: string;
  readonly started?: string | null;
  readonly completed?: string | null;
  readonly cached?: boolean;
  readonly error?: string;
}

/** The progress of a part of a vertex, in bytes. */
export interface Transfer {
  readonly id: string;
  readonly vertex: string;
  readonly current: number;
  readonly total?: number;
}

/** A chunk of a vertex's log. */
export interface LogChunk {
  readonly vertex: string;
  /** Bytes, in base64. */
  readonly data: string;
}

/**
 * Parses a message; undefined for anything else. A program without progress fails by its exit code.
 */
export function parseStatus(text: string): SolveStatus | undefined {
  try {
    const status: unknown = JSON.parse(text);
    if (!isObject(status)) return undefined;
    const { vertexes, statuses, logs } = status;
    return {
      vertexes: listOf(vertexes).filter(hasText('digest', 'name')) as unknown as Vertex[],
      statuses: listOf(statuses).flatMap(transferOf),
      logs: listOf(logs).filter(hasText('vertex', 'data')) as unknown as LogChunk[],
    };
  } catch {
    return undefined;
  }
}

function transferOf(status: Readonly<Record<string, unknown>>): readonly Transfer[] {
  const { id, vertex, current, total } = status;
  if (typeof id !== 'string' || typeof vertex !== 'string' || !isCount(current)) return [];
  return [{ id, vertex, current, total: isCount(total) ? total : undefined }];
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && value >= 0;
}

function listOf(value: unknown): readonly Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function hasText(...names: readonly string[]): (item: Record<string, unknown>) => boolean {
  return (item) => names.every((name) => typeof item[name] === 'string');
}
