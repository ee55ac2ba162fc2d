import type { RequestPlan } from '@lkt/builder';
import { imageKey, type StagePlan, type Step } from '@lkt/dockerfile';
import { contextNames } from './named-contexts.ts';

/** The step or transfer that a vertex of BuildKit's graph belongs to. */
export interface VertexInfo {
  /** The same as in the native engine. */
  readonly id: string;
  readonly title: string;
  /** undefined for transfers before and after the steps. */
  readonly step: Step | undefined;
}

/** `[linux/amd64 stage 2/5] RUN …`; platform and stage are missing if there is only one. */
const STEP = /^\[(?:\S+\/\S+ )?(?:([^\s/]+) )?(\d+)\/\d+\] (\S+)/;

/** Identifies vertexes by their names, because BuildKit reports nothing else about them. */
export class VertexNames {
  readonly #name: string;
  readonly #stages: readonly StagePlan[];
  readonly #images: ReadonlyMap<string, string>;

  constructor(
    name: string,
    planned: Pick<RequestPlan, 'plan' | 'references' | 'triggerReferences'>,
  ) {
    this.#name = name;
    this.#stages = planned.plan.stages;
    const names = contextNames(planned);
    this.#images = new Map(
      [...planned.references, ...planned.triggerReferences].map((reference) => [
        names.get(imageKey(reference)) ?? '',
        reference.text,
      ]),
    );
  }

  /** Returns the step or transfer of a vertex; undefined for internal vertexes of BuildKit. */
  describe(vertex: string): VertexInfo | undefined {
    const [, label, number = '', keyword = ''] = STEP.exec(vertex) ?? [];
    if (number !== '') return this.#step(label, Number(number), keyword, vertex);
    const transfer = this.#transfer(vertex);
    if (transfer === undefined) return undefined;
    const [key, title] = transfer;
    return { id: `${this.#name}:${key}`, title, step: undefined };
  }

  #step(
    label: string | undefined,
    number: number,
    keyword: string,
    vertex: string,
  ): VertexInfo | undefined {
    const text = vertex.slice(vertex.indexOf('] ') + 2);
    const candidates = this.#stages.flatMap((stage) => {
      if (label !== undefined && (stage.name ?? `stage-${stage.index}`) !== label) return [];
      // BuildKit does not number WORKDIR / and FROM.
      const numbered = stage.steps.filter((step) => step.kind !== 'workdir' || step.path !== '/');
      const step = numbered[number - 1];
      return step !== undefined && mayBe(step, keyword.toUpperCase()) ? [{ stage, step }] : [];
    });
    // Stages may share a name; BuildKit expands variables in titles.
    const found = candidates.find(({ step }) => step.title === text) ?? candidates[0];
    if (found === undefined) return undefined;
    const { stage, step } = found;
    const name = stage.name ?? String(stage.index);
    const at = stage.steps.indexOf(step) + 1;
    return {
      id: `${this.#name}:${name}/${at}`,
      title: `[${name} ${at}/${stage.steps.length}] ${step.title}`,
      step,
    };
  }

  #transfer(vertex: string): readonly [key: string, title: string] | undefined {
    const image = /^\[context (lkt-base-\d+)\]/.exec(vertex)?.[1];
    if (image !== undefined) return [image, `send ${this.#images.get(image) ?? image}`];
    if (vertex === '[internal] load build context') return ['context', 'send the build context'];
    if (vertex.startsWith('exporting to oci')) return ['layers', 'import the layers'];
    if (vertex.startsWith('importing cache manifest')) return ['cache-from', 'check the cache'];
    if (vertex.startsWith('exporting cache')) return ['cache-to', 'push the cache'];
    return undefined;
  }
}

/**
 * Reports whether a vertex with the keyword may be the step. Triggers appear as their instruction,
 * and an ADD of a download as COPY.
 */
function mayBe({ kind, instruction }: Step, keyword: string): boolean {
  return instruction.keyword === keyword || (kind === 'add' && keyword === 'COPY');
}
