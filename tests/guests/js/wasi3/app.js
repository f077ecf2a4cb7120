// JavaScript without an SDK, for WASI 0.3: /, /echo, /capitals, /drip/COUNT/MILLISECONDS.
// The engine has no TextEncoder, so text is spelled out by hand. The compiler cannot build what imports wasi:http/client:
// it runs the app once, and has nothing to put there for a function that is async.

import { waitFor } from "wasi:clocks/monotonic-clock@0.3.0";
import { Fields, Request, Response } from "wasi:http/types@0.3.0";

const bytes = (text) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

const received = () => Promise.resolve({ tag: "ok" });

const noTrailers = () => Promise.resolve({ tag: "ok", val: null });

function respond(status, body) {
  const headers = Fields.fromList([["content-type", bytes("text/plain")]]);
  const [response] = Response.new(headers, body, noTrailers());
  response.setStatusCode(status);
  return response;
}

async function* hello() {
  yield bytes("hello from JavaScript");
}

async function* capitals(body) {
  for await (const piece of body) yield piece.map((byte) => (byte >= 97 && byte <= 122 ? byte - 32 : byte));
}

async function* drip(count, milliseconds) {
  for (let number = 0; number < count; number++) {
    await waitFor(milliseconds * 1_000_000);
    yield bytes(`${number}\n`);
  }
}

const consume = (request) => Request.consumeBody(request, received())[0];

const ROUTES = {
  "": () => respond(200, hello()),
  echo: (request) => respond(200, consume(request)),
  capitals: (request) => respond(200, capitals(consume(request))),
  drip: (_request, count, milliseconds) => respond(200, drip(Number(count), Number(milliseconds))),
};

export const handler = {
  async handle(request) {
    const [name, ...rest] = request.getPathWithQuery().slice(1).split("/");
    const route = ROUTES[name];
    return route ? route(request, ...rest) : respond(404, hello());
  },
};
