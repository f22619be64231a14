/** The page that tells the HTTP API: everything on it is read from openapi.json. */

import { byId, part, stamp } from "./dom.js";
import { curl, fieldsOf, filled, modelsIn, resolve, typeOf } from "./openapi.js";
import { mountTheme } from "./theme.js";

/** @typedef {import("./openapi.js").Json} Json */

const METHODS = ["get", "post"];
const main = byId("routes", HTMLElement);
const base = new URL(".", location.href).href.replace(/\/$/, "");

mountTheme();
show();

async function show() {
  const status = byId("status", HTMLElement);
  try {
    const answer = await fetch("openapi.json");
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    draw(await answer.json());
    status.remove();
  } catch (error) {
    status.textContent = `openapi.json could not be read: ${error instanceof Error ? error.message : error}`;
    return;
  }
  // The element that the address names was not there when the page opened.
  document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

/** @param {Json} api */
function draw(api) {
  drawIntro(api.info);
  for (const tag of api.tags) {
    const group = stamp("contents-group");
    part(group, "h2", HTMLElement).textContent = tag.name;
    byId("contents", HTMLElement).append(group);
    const title = document.createElement("h2");
    title.textContent = tag.name;
    const text = document.createElement("p");
    text.className = "soft";
    text.textContent = tag.description;
    main.append(title, text);
    for (const [path, methods] of Object.entries(api.paths))
      for (const method of METHODS)
        if (methods[method]?.tags.includes(tag.name)) {
          main.append(route(api, path, method, methods[method]));
          part(group, "ul", HTMLElement).append(entry(path, methods[method]));
        }
  }
}

/** @param {Json} info */
function drawIntro(info) {
  const link = document.createElement("a");
  link.href = "openapi.json";
  link.textContent = "openapi.json";
  byId("intro", HTMLElement).append(`${info.summary} Version ${info.version}. For programs: `, link, ".");
}

/** @param {string} path @param {Json} operation */
function entry(path, operation) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  link.href = `#${operation.operationId}`;
  // A long path may break before a slash.
  for (const piece of path.split(/(?=\/)/)) link.append(piece, document.createElement("wbr"));
  item.append(link);
  return item;
}

/** @param {Json} api @param {string} path @param {string} method @param {Json} operation */
function route(api, path, method, operation) {
  const box = stamp("route");
  box.id = operation.operationId;
  const label = part(box, ".method", HTMLElement);
  label.textContent = method.toUpperCase();
  label.dataset.method = method;
  const link = part(box, ".path", HTMLAnchorElement);
  link.textContent = path;
  link.href = `#${operation.operationId}`;
  write(part(box, ".route-summary", HTMLElement), operation.summary);
  write(part(box, ".route-text", HTMLElement), operation.description ?? "");

  /** @type {Json[]} */
  const parameters = operation.parameters.map((/** @type {Json} */ p) => resolve(api, p));
  const own = parameters.filter((parameter) => parameter.in !== "header");
  if (own.length) box.append(heading("Address"), table(own.map(parameterField), `Address of ${path}`));
  const body = operation.requestBody?.content["application/json"];
  if (body) box.append(heading("Body"), ...models(api, body.schema, path));
  box.append(heading("Try it"), ...examples(method, filled(path, parameters), body));
  box.append(heading("Answers"));
  for (const [status, found] of Object.entries(operation.responses))
    box.append(answer(api, status, resolve(api, found), `${status} of ${path}`));
  return box;
}

/** @param {Json} parameter */
function parameterField({ name, schema, description, required = false }) {
  const standard = schema.default === undefined ? "" : String(schema.default);
  return { name, type: typeOf(schema), standard, text: description, required };
}

/**
 * The fields of a schema, then those of each model that it names.
 * @param {Json} api @param {Json} schema @param {string} of
 */
function models(api, schema, of) {
  const parts = [];
  for (const name of modelsIn(api, schema)) {
    const model = api.components.schemas[name];
    const fields = fieldsOf(api, model);
    if (!fields.length) continue;
    const text = document.createElement("p");
    text.className = "soft";
    write(text, `\`${name}\`: ${(model.description ?? "").replace(/\s+/g, " ")}`);
    parts.push(text, table(fields, `${name} of ${of}`));
  }
  return parts;
}

/** @param {string} method @param {string} path @param {Json | undefined} body */
function examples(method, path, body) {
  const given = Object.values(body?.examples ?? {});
  if (!given.length) return [example("", curl(base, method, path))];
  return given.map(({ summary, value }) => example(summary, curl(base, method, path, value)));
}

/** @param {Json} api @param {string} status @param {Json} found @param {string} of */
function answer(api, status, found, of) {
  const box = stamp("answer");
  const label = part(box, ".status", HTMLElement);
  label.textContent = status;
  label.dataset.fine = String(Number(status) < 400);
  const content = found.content ?? {};
  const types = Object.keys(content).map((type) => `\`${type}\``);
  write(part(box, ".answer-text", HTMLElement), `${found.description} ${types.join(" ")}`);
  const json = content["application/json"];
  const fields = json ? models(api, json.schema, of) : [];
  if (json?.example !== undefined) fields.unshift(example("for example", JSON.stringify(json.example, null, 2)));
  if (!fields.length) {
    // Nothing more to see: a line, not something to open.
    const line = document.createElement("div");
    line.className = "answer plain";
    line.append(...part(box, "summary", HTMLElement).children);
    return line;
  }
  box.append(...fields);
  return box;
}

/** @param {import("./openapi.js").Field[]} fields @param {string} label */
function table(fields, label) {
  const box = stamp("fields");
  box.setAttribute("aria-label", label);
  const rows = part(box, "tbody", HTMLTableSectionElement);
  for (const field of fields) {
    const row = rows.insertRow();
    const name = row.insertCell();
    name.className = "field";
    name.textContent = field.name;
    if (field.required) {
      const star = document.createElement("span");
      star.className = "required";
      star.textContent = "*";
      star.title = "required";
      name.append(star);
    }
    const type = row.insertCell();
    type.className = "type";
    type.textContent = field.type;
    write(row.insertCell(), field.standard && `\`${field.standard}\``);
    write(row.insertCell(), field.text);
  }
  return box;
}

/** @param {string} caption @param {string} text */
function example(caption, text) {
  const box = stamp("example");
  part(box, "figcaption span", HTMLElement).textContent = caption;
  part(box, "code", HTMLElement).textContent = text;
  const button = part(box, ".copy", HTMLButtonElement);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      say("Copied");
    } catch {
      // Without https or leave a page may not write there: selected, it is one key away.
      getSelection()?.selectAllChildren(part(box, "code", HTMLElement));
      say("Selected: copy it with Ctrl C");
    }
  });
  return box;
}

/** @param {string} text */
function say(text) {
  const toast = byId("toast", HTMLElement);
  toast.textContent = text;
  setTimeout(() => {
    if (toast.textContent === text) toast.textContent = "";
  }, 2000);
}

/** @param {string} text */
function heading(text) {
  const title = document.createElement("h4");
  title.textContent = text;
  return title;
}

/**
 * Text in which backticks mark code.
 * @param {HTMLElement} target
 * @param {string} text
 */
function write(target, text) {
  text.split("`").forEach((piece, i) => {
    if (!piece) return;
    if (i % 2 === 0) return target.append(piece);
    const code = document.createElement("code");
    code.textContent = piece;
    target.append(code);
  });
}
