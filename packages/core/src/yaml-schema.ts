/** A part of a JSON schema, draft 7. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** Values that a file accepts in addition to its types. */
export interface SchemaOptions {
  /** Accept numbers and booleans as text, as `ReadMode.isLenient`. */
  readonly isLenient?: boolean;
  /** Accept `${NAME}` in place of a value. */
  readonly hasVariables?: boolean;
}

/** The parts of a field that its schema needs. */
interface SchemaField {
  readonly type: { schema(writer: SchemaWriter): JsonSchema };
  readonly about: string;
  readonly presence: string;
  readonly isNullable?: boolean;
}

/** A text with a variable, whose value is unknown before the file is read. */
const WITH_VARIABLE: JsonSchema = {
  type: 'string',
  pattern: String.raw`\$\{[A-Za-z_][A-Za-z0-9_]*\}`,
};

/** Writes the JSON schema of one file. */
export class SchemaWriter {
  readonly #options: SchemaOptions;
  readonly #definitions = new Map<string, JsonSchema>();

  constructor(options: SchemaOptions = {}) {
    this.#options = options;
  }

  /** Returns the schema of a text. */
  text(pattern: RegExp | undefined): JsonSchema {
    const type = this.#options.isLenient === true ? ['string', 'number', 'boolean'] : 'string';
    // A pattern has no effect on values that are not strings.
    return pattern === undefined ? { type } : this.value({ type, pattern: pattern.source });
  }

  /** Returns the schema of a scalar. */
  value(schema: JsonSchema): JsonSchema {
    return this.#options.hasVariables === true ? { anyOf: [schema, WITH_VARIABLE] } : schema;
  }

  /** Returns the schema of a mapping with these keys only. */
  object(fields: readonly (readonly [string, SchemaField])[]): JsonSchema {
    const required = fields
      .filter(([, { presence }]) => presence === 'required')
      .map(([key]) => key);
    return {
      type: 'object',
      properties: Object.fromEntries(
        fields.map(([key, { type, about, presence, isNullable = true }]) => {
          const schema = type.schema(this);
          const isOptional = presence !== 'required' && isNullable;
          return [key, described(isOptional ? { anyOf: [schema, NULL] } : schema, about)];
        }),
      ),
      required: required.length === 0 ? undefined : required,
      additionalProperties: false,
    };
  }

  /** Returns a reference to the named definition, which is written once. */
  definition(name: string, write: () => JsonSchema): JsonSchema {
    if (!this.#definitions.has(name)) {
      this.#definitions.set(name, {});
      this.#definitions.set(name, write());
    }
    return { $ref: `#/definitions/${name}` };
  }

  /** Returns the schema of a whole file with its definitions. */
  document(title: string, about: string, schema: JsonSchema): JsonSchema {
    return {
      $schema: 'http://json-schema.org/draft-07/schema#',
      title,
      description: about,
      ...schema,
      ...(this.#definitions.size === 0
        ? {}
        : { definitions: Object.fromEntries(this.#definitions) }),
    };
  }
}

const NULL: JsonSchema = { type: 'null' };

/**
 * Adds a description, and merges `null` into the schema's types where possible, which editors
 * display better than `anyOf`.
 */
function described(schema: JsonSchema, description: string): JsonSchema {
  const choices = schema['anyOf'] as readonly JsonSchema[] | undefined;
  const [first, second, ...rest] = choices ?? [];
  if (first?.['anyOf'] !== undefined && second === NULL)
    return { description, anyOf: [...(first['anyOf'] as readonly JsonSchema[]), NULL] };
  if (first !== undefined && second === NULL && rest.length === 0) {
    const { type } = first;
    if (typeof type === 'string') return { description, ...first, type: [type, 'null'] };
    if (Array.isArray(type)) return { description, ...first, type: [...type, 'null'] };
    if (Array.isArray(first['enum']))
      return { description, ...first, enum: [...(first['enum'] as unknown[]), null] };
  }
  // Draft 7 ignores keywords beside $ref.
  return schema['$ref'] === undefined
    ? { description, ...schema }
    : { description, allOf: [schema] };
}
