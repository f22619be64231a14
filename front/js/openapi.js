/**
 * Reading an OpenAPI document: what fields a schema has, in words, and what to type to call a route.
 *
 * @typedef {Record<string, any>} Json
 * @typedef {{name: string, type: string, standard: string, text: string, required: boolean}} Field
 */

/**
 * What a value is, where it may be a reference.
 * @param {Json} document
 * @param {Json} value
 * @returns {Json}
 */
export function resolve(document, value) {
  const path = value.$ref;
  if (typeof path !== "string") return value;
  return path
    .slice(2)
    .split("/")
    .reduce((/** @type {Json} */ found, part) => found[part], document);
}

/**
 * A type in words: `integer ≥ 1`, `list of TermModel`, `text or null`.
 * @param {Json} schema
 * @returns {string}
 */
export function typeOf(schema) {
  if (schema.$ref) return schema.$ref.split("/").pop().replace(/^JsonValue$/, "any value");
  const branches = schema.anyOf ?? schema.oneOf;
  if (branches) return [...new Set(branches.map(typeOf))].join(" or ");
  if (schema.enum) return schema.enum.map((/** @type {unknown} */ v) => JSON.stringify(v)).join(" or ");
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.type === "array") return `list of ${schema.items ? typeOf(schema.items) : "any value"}`;
  if (schema.type === "object" && typeof schema.additionalProperties === "object")
    return `object of ${typeOf(schema.additionalProperties)}`;
  const name = schema.type === "string" ? "text" : schema.type ?? "any value";
  return `${name}${boundsOf(schema)}`;
}

/** @param {Json} schema */
function boundsOf(schema) {
  const { minimum: least, maximum: most, exclusiveMinimum: above } = schema;
  if (above !== undefined) return ` > ${above}`;
  const far = typeof most === "number" && most > Number.MAX_SAFE_INTEGER;
  if (least !== undefined && most !== undefined && !far) return ` ${least} … ${most}`;
  if (least !== undefined) return ` ≥ ${least}`;
  return most === undefined ? "" : ` ≤ ${most}`;
}

/**
 * The fields of an object; of a list, those of what is in it.
 * @param {Json} document
 * @param {Json} schema
 * @returns {Field[]}
 */
export function fieldsOf(document, schema) {
  const found = resolve(document, schema);
  if (found.items) return fieldsOf(document, found.items);
  const branches = found.anyOf ?? found.oneOf ?? [];
  if (branches.length) return branches.flatMap((/** @type {Json} */ branch) => fieldsOf(document, branch));
  return Object.entries(found.properties ?? {}).map(([name, field]) => ({
    name,
    type: typeOf(field),
    standard: field.default === undefined ? "" : JSON.stringify(field.default),
    text: field.description ?? "",
    required: (found.required ?? []).includes(name),
  }));
}

/**
 * The models that a schema names, and those that these name; each once.
 * @param {Json} document
 * @param {Json} schema
 * @param {Set<string>} [seen]
 * @returns {string[]}
 */
export function modelsIn(document, schema, seen = new Set()) {
  for (const value of Object.values(schema)) {
    if (typeof value === "string" && value.startsWith("#/components/schemas/")) {
      const name = value.split("/").pop() ?? "";
      if (seen.has(name)) continue;
      seen.add(name);
      modelsIn(document, document.components.schemas[name], seen);
    } else if (value && typeof value === "object") modelsIn(document, value, seen);
  }
  return [...seen];
}

/**
 * A command for a shell, in single quotes.
 * @param {string} base the address of the server, without a slash behind it
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body]
 */
export function curl(base, method, path, body) {
  const address = quoted(`${base}${path}`);
  if (method === "get") return `curl ${address}`;
  if (body === undefined) return `curl -X ${method.toUpperCase()} ${address}`;
  return `curl ${address} \\\n  --json ${quoted(JSON.stringify(body))}`;
}

/** @param {string} text */
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * The address of an operation with the examples of its parameters in it.
 * @param {string} path
 * @param {Json[]} parameters
 */
export function filled(path, parameters) {
  return parameters
    .filter((parameter) => parameter.in === "path")
    .reduce((text, parameter) => text.replace(`{${parameter.name}}`, encodeURIComponent(parameter.example)), path);
}
