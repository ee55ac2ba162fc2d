/** A piece of what `--progress rawjson` says (BuildKit, client/graph.go, SolveStatus). */
export interface SolveStatus {
  readonly vertexes: readonly Vertex[];
  readonly statuses: readonly Transfer[];
  readonly logs: readonly Piece[];
}

export interface Vertex {
  readonly digest: string;
  readonly name: string;
  readonly started?: string | null;
  readonly completed?: string | null;
  readonly cached?: boolean;
  readonly error?: string;
}

/** How far a part of a vertex is, in bytes. */
export interface Transfer {
  readonly id: string;
  readonly vertex: string;
  readonly current: number;
  readonly total?: number;
}

export interface Piece {
  readonly vertex: string;
  /** Bytes, in base64. */
  readonly data: string;
}

/** @returns undefined for what is no status: then the program is another than it should be, and its exit says so. */
export function parseStatus(text: string): SolveStatus | undefined {
  try {
    const status: unknown = JSON.parse(text);
    if (!isObject(status)) return undefined;
    const { vertexes, statuses, logs } = status;
    return {
      vertexes: listOf(vertexes).filter(hasText('digest', 'name')) as unknown as Vertex[],
      statuses: listOf(statuses).flatMap(transferOf),
      logs: listOf(logs).filter(hasText('vertex', 'data')) as unknown as Piece[],
    };
  } catch {
    return undefined;
  }
}

function transferOf({
  id,
  vertex,
  current,
  total,
}: Readonly<Record<string, unknown>>): readonly Transfer[] {
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
