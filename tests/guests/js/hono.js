// The JavaScript SDK with the router hono, its middleware and its streaming helper.
import { Hono } from "hono";
import { stream } from "hono/streaming";

const app = new Hono();

app.use(async (context, next) => {
  await next();
  context.header("x-middleware", "hono");
});

app.get("/", (context) => context.text("hello from hono"));
app.get("/hello/:name", (context) => context.json({ hello: context.req.param("name") }));
app.post("/json", async (context) => context.json({ received: await context.req.json() }));
app.get("/stream", (context) =>
  stream(context, async (body) => {
    for (const word of ["one ", "two ", "three"]) await body.write(word);
  }));

addEventListener("fetch", (event) => event.respondWith(app.fetch(event.request)));
