// A first app in JavaScript: three routes on the request and response of the web platform.
import { AutoRouter } from "itty-router";

const router = AutoRouter();

router.get("/", ({ url }) =>
  text(`Hello from edged. You asked for ${url}\nTry /hello/world and /headers.\n`));

router.get("/hello/:name", ({ params }) => text(`Hello, ${decodeURIComponent(params.name)}!\n`));

// What a handler returns without a Response of its own, itty-router sends as JSON.
router.get("/headers", ({ headers }) => Object.fromEntries(headers));

router.all("*", () => text("There is nothing here. Try /hello/world.\n", 404));

function text(body, status = 200) {
  return new Response(body, { status, headers: { "content-type": "text/plain; charset=utf-8" } });
}

addEventListener("fetch", (event) => event.respondWith(router.fetch(event.request)));
