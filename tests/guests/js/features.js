// The JavaScript SDK without a router. One path is one feature; /count answers 1 in a fresh instance.
let seen = 0;

const routes = {
  "/": () => new Response("hello"),
  "/echo": (request) => new Response(request.body),
  "/capitals": (request) => new Response(request.body.pipeThrough(capitals())),
  "/count": () => new Response(String(++seen)),
  "/headers": (request) => Response.json(Object.fromEntries(request.headers)),
  "/log": () => {
    console.log("to stdout");
    console.error("to stderr");
    return new Response("logged");
  },
  "/random": () => new Response(crypto.randomUUID()),
  "/throw": () => {
    throw new Error("thrown on purpose");
  },
  "/time": () => new Response(String(Date.now())),
  "/timer": async () => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    return new Response("rang");
  },
};

function capitals() {
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  return new TransformStream({
    transform(piece, controller) {
      controller.enqueue(encoder.encode(decoder.decode(piece, { stream: true }).toUpperCase()));
    },
  });
}

async function handle(request) {
  const route = routes[new URL(request.url).pathname];
  return route ? route(request) : new Response("no such route", { status: 404 });
}

addEventListener("fetch", (event) => event.respondWith(handle(event.request)));
