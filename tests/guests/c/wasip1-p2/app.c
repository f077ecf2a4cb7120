// A core module for WASI preview 1 that speaks wasi:http: libc's files beside handles of WASI 0.2 and Spin 2.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "wasi.h"

#define SPIN(name) "fermyon:spin/" name "@2.0.0"
struct spin_error { uint8_t kind; struct list message; };
struct spin_result { uint8_t failed; union { handle value; struct list text; struct optional_string maybe; struct spin_error error; }; };
struct row { const struct value *values; size_t count; };
struct value { uint8_t kind; union { int64_t integer; struct list text; }; };
struct query_result { uint8_t failed; union { struct { struct list columns; const struct row *rows; size_t count; }; struct spin_error error; }; };

IMPORT(SPIN("variables"), "get") void variable_get(const char *, size_t, struct spin_result *);
IMPORT(SPIN("key-value"), "[static]store.open") void store_open(const char *, size_t, struct spin_result *);
IMPORT(SPIN("key-value"), "[method]store.get") void store_get(handle, const char *, size_t, struct spin_result *);
IMPORT(SPIN("key-value"), "[method]store.set")
void store_set(handle, const char *, size_t, const char *, size_t, struct spin_result *);
IMPORT(SPIN("key-value"), "[resource-drop]store") void store_drop(handle);
IMPORT(SPIN("sqlite"), "[static]connection.open") void database_open(const char *, size_t, struct spin_result *);
IMPORT(SPIN("sqlite"), "[method]connection.execute")
void database_execute(handle, const char *, size_t, const void *, size_t, struct query_result *);
IMPORT(SPIN("redis"), "[static]connection.open") void redis_open(const char *, size_t, struct spin_result *);
IMPORT(SPIN("redis"), "[method]connection.get") void redis_get(handle, const char *, size_t, struct spin_result *);
IMPORT(SPIN("redis"), "[method]connection.set")
void redis_set(handle, const char *, size_t, const char *, size_t, struct spin_result *);

struct sent { uint8_t failed; _Alignas(8) union { handle future; uint8_t reason; uint64_t error[4]; }; };
struct arrived { uint64_t is_some, is_taken, failed; union { handle response; uint8_t reason; uint64_t error[4]; }; };
IMPORT(HTTP, "[constructor]outgoing-request") handle request_new(handle headers);
IMPORT(HTTP, "[method]outgoing-request.set-scheme") int32_t request_set_scheme(handle, int32_t, int32_t, const char *, size_t);
IMPORT(HTTP, "[method]outgoing-request.set-authority") int32_t request_set_authority(handle, int32_t, const char *, size_t);
IMPORT("wasi:http/outgoing-handler@0.2.3", "handle") void request_send(handle, int32_t, handle, struct sent *);
IMPORT(HTTP, "[method]future-incoming-response.subscribe") handle future_subscribe(handle);
IMPORT(HTTP, "[method]future-incoming-response.get") void future_get(handle, struct arrived *);
IMPORT(HTTP, "[method]incoming-response.consume") void response_consume(handle, struct handle_result *);
IMPORT(POLL, "[method]pollable.block") void pollable_block(handle);

EXPORT("cabi_realloc") void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
  (void)old_size;
  return size ? realloc(old, size) : (void *)align;
}

static char out[65536];
static size_t out_size;

static void put(const void *bytes, size_t size) {
  if (size > sizeof out - out_size) abort();
  memcpy(out + out_size, bytes, size);
  out_size += size;
}

static void fail(int kind) { out_size += (size_t)snprintf(out + out_size, 16, "error %d", kind); }

static void key_value(const char *label) {
  struct spin_result got;
  store_open(label, strlen(label), &got);
  if (got.failed) {
    fail(got.error.kind);
    return;
  }
  handle store = got.value;
  store_set(store, "a", 1, "one", 3, &got);
  store_get(store, "a", 1, &got);
  if (got.failed || !got.maybe.present) abort();
  put(got.maybe.value.at, got.maybe.value.size);
  store_drop(store);
}

static void sqlite(const char *name) {
  struct spin_result opened;
  struct query_result got;
  static const char statement[] = "SELECT 'seven', 7";
  database_open(name, strlen(name), &opened);
  if (opened.failed) {
    fail(opened.error.kind);
    return;
  }
  database_execute(opened.value, statement, sizeof statement - 1, NULL, 0, &got);
  if (got.failed || got.count != 1 || got.rows[0].values[1].integer != 7) abort();
  put(got.rows[0].values[0].text.at, got.rows[0].values[0].text.size);
}

static void redis(const char *address) {
  struct spin_result got;
  redis_open(address, strlen(address), &got);
  if (got.failed) {
    fail(got.error.kind);
    return;
  }
  handle connection = got.value;
  redis_set(connection, "module", 6, "said", 4, &got);
  redis_get(connection, "module", 6, &got);
  if (got.failed || !got.maybe.present) abort();
  put(got.maybe.value.at, got.maybe.value.size);
}

static void fetch(const char *authority) {
  handle request = request_new(fields_new());
  struct sent sent;
  struct arrived arrived;
  struct handle_result result;
  request_set_scheme(request, 1, 0, NULL, 0);
  if (request_set_authority(request, 1, authority, strlen(authority))) abort();
  request_send(request, 0, 0, &sent);
  if (sent.failed) {
    fail(sent.reason);
    return;
  }
  handle ready = future_subscribe(sent.future);
  pollable_block(ready);
  pollable_drop(ready);
  future_get(sent.future, &arrived);
  if (!(uint8_t)arrived.is_some) abort();
  if ((uint8_t)arrived.failed) {
    fail(arrived.reason);
    return;
  }
  response_consume(arrived.response, &result);
  incoming_body_stream(result.value, &result);
  struct read_result piece;
  for (;;) {
    input_blocking_read(result.value, 4096, &piece);
    if (piece.failed) break;
    put(piece.bytes.at, piece.bytes.size);
  }
}

static void answer(handle outparam) {
  handle response = response_new(fields_new());
  struct handle_result body, stream;
  struct write_result written;
  struct finish_result finished;
  response_body(response, &body);
  response_set(outparam, 0, response, 0, 0, 0, 0, 0, 0);
  outgoing_body_write(body.value, &stream);
  for (size_t at = 0, part; at < out_size; at += part) {
    part = out_size - at < 4096 ? out_size - at : 4096;
    output_blocking_write_and_flush(stream.value, (const uint8_t *)out + at, part, &written);
    if (written.failed) abort();
  }
  output_drop(stream.value);
  outgoing_body_finish(body.value, 0, 0, &finished);
}

EXPORT("wasi:http/incoming-handler@0.2.3#handle") void handle_request(handle request, handle outparam) {
  struct optional_string target;
  char path[512];
  request_path(request, &target);
  if (!target.present || target.value.size >= sizeof path) abort();
  memcpy(path, target.value.at, target.value.size);
  path[target.value.size] = 0;
  char *rest = strchr(path + 1, '/');
  if (!rest) abort();
  *rest++ = 0;
  const char *what = path + 1;
  if (!strcmp(what, "kv")) key_value(rest);
  else if (!strcmp(what, "sql")) sqlite(rest);
  else if (!strcmp(what, "redis")) redis(rest);
  else if (!strcmp(what, "fetch")) fetch(rest);
  else if (!strcmp(what, "env")) put(getenv(rest) ? getenv(rest) : "none", strlen(getenv(rest) ? getenv(rest) : "none"));
  else if (!strcmp(what, "var")) {
    struct spin_result got;
    variable_get(rest, strlen(rest), &got);
    if (got.failed) fail(got.error.kind);
    else put(got.text.at, got.text.size);
  } else if (!strcmp(what, "file")) {
    *--rest = '/';
    FILE *opened = fopen(rest, "r");
    if (!opened) put("none", 4);
    else out_size = fread(out, 1, sizeof out, opened), fclose(opened);
  }
  answer(outparam);
}
