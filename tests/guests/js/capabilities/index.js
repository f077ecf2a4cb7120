// The JavaScript SDK and what Spin adds to WASI. One path is one call: /NAME/ARGUMENT..., with the rest in the body.
// What an interface refuses is answered with 403 and the error's case, as WIT spells it.
import { Store } from "fermyon:spin/key-value@2.0.0";
import { Connection as Redis } from "fermyon:spin/redis@2.0.0";
import { Connection as Sqlite } from "fermyon:spin/sqlite@2.0.0";
import { get as variable } from "fermyon:spin/variables@2.0.0";
import { handle as sendPlainly } from "wasi:http/outgoing-handler@0.2.3";
import { Fields, OutgoingRequest } from "wasi:http/types@0.2.3";

const REDIRECTS_MAX = 5;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

const routes = {
  "": () => "hello",
  get: (_, label, key) => Store.open(label).get(key) ?? "nothing",
  set: async (request, label, key) => {
    Store.open(label).set(key, new Uint8Array(await request.arrayBuffer()));
    return "set";
  },
  delete: (_, label, key) => {
    Store.open(label).delete(key);
    return "deleted";
  },
  exists: (_, label, key) => JSON.stringify(Store.open(label).exists(key)),
  keys: (_, label) => JSON.stringify(Store.open(label).getKeys()),
  variable: (_, name) => variable(name),
  sql: async (request, label) => {
    const connection = Sqlite.open(label);
    const results = (await request.json()).map(([statement, ...parameters]) => {
      const { columns, rows } = connection.execute(statement, parameters.map(toSql));
      return [columns, rows.map((row) => row.values.map(fromSql))];
    });
    return JSON.stringify(results);
  },
  redis: async (request) => {
    const [address, calls] = await request.json();
    const connection = Redis.open(address);
    return JSON.stringify(calls.map(([name, ...args]) => toJson(redis(connection, name, ...args))));
  },
  send: async (request) => {
    const [method, url, body] = await request.json();
    const answer = await send(url, { method, body: body || undefined });
    return JSON.stringify([answer.status, Object.fromEntries(answer.headers), await answer.text()]);
  },
  follow: async (request) => {
    let url = await request.json();
    for (let hop = 0; hop < REDIRECTS_MAX; hop++) {
      const answer = await send(url);
      const next = answer.headers.get("location");
      if (next === null) return await answer.text();
      url = new URL(next, url);
    }
    throw new Error("too many redirects");
  },
};

// fetch says that it failed, but not why. The interface below it does, asked once more.
async function send(url, options) {
  try {
    return await fetch(url, options);
  } catch (error) {
    throw { payload: reason(new URL(url)) ?? error };
  }
}

function reason(url) {
  const outgoing = new OutgoingRequest(new Fields());
  outgoing.setScheme({ tag: url.protocol === "https:" ? "HTTPS" : "HTTP" });
  outgoing.setAuthority(url.host);
  outgoing.setPathWithQuery(url.pathname + url.search);
  const future = sendPlainly(outgoing, undefined);
  future.subscribe().block();
  const { tag, val } = future.get().val; // the outer result is for who asks twice
  return tag === "err" ? val : undefined;
}

function redis(connection, name, subject, ...args) {
  if (name === "publish" || name === "set") args = args.map((argument) => encoder.encode(argument));
  if (name === "execute") {
    const values = { int64: BigInt, binary: (text) => encoder.encode(text) };
    args = [args.map(([tag, value]) => ({ tag, val: values[tag](value) }))];
  }
  return connection[name](subject, ...args);
}

// Variants as JSON: a list of the case and its payload.
function toJson(value) {
  if (value === undefined) return null;
  if (typeof value === "bigint") return Number(value);
  if (value?.byteLength !== undefined) return decoder.decode(value); // bytes, of whatever class
  if (Array.isArray(value)) return value.map(toJson);
  if (value !== null && typeof value === "object") return value.val === undefined ? [value.tag] : [value.tag, toJson(value.val)];
  return value;
}

function toSql(value) {
  if (value === null) return { tag: "null" };
  if (typeof value === "string") return { tag: "text", val: value };
  return Number.isInteger(value) ? { tag: "integer", val: BigInt(value) } : { tag: "real", val: value };
}

function fromSql({ tag, val }) {
  if (tag === "null") return null;
  if (tag === "blob") return Array.from(val, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return tag === "integer" ? Number(val) : val;
}

function failure({ tag, val }) {
  return typeof val === "string" ? `${tag}: ${val}` : tag.toLowerCase();
}

async function handle(request) {
  const [, name, ...args] = (request.headers.get("spin-path-info") || "/").split("/").map(decodeURIComponent);
  try {
    return new Response(await routes[name](request, ...args));
  } catch (error) {
    if (error.payload?.tag !== undefined) return new Response(failure(error.payload), { status: 403 });
    return new Response(`${error}`, { status: 500 });
  }
}

addEventListener("fetch", (event) => event.respondWith(handle(event.request)));
