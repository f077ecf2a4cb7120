// A guest of Spin 1, without an SDK: fermyon:spin/* without versions, over WASI preview 1. With OLD_BINDINGS it has the
// names that wit-bindgen 0.2 gave to the same. What each path does stands in tests/guests/catalog.py.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef OLD_BINDINGS
#define CONFIG "spin-config"
#define HTTP "wasi-outbound-http"
#define SEND "request"
#define KEY_VALUE "key-value"
#define POSTGRES "outbound-pg"
#define MYSQL "outbound-mysql"
#define REDIS "outbound-redis"
#define SQLITE "sqlite"
#define HANDLE_REQUEST "handle-http-request"
#define HANDLE_MESSAGE "handle-redis-message"
#define REALLOC "canonical_abi_realloc"
#else
#define CONFIG "fermyon:spin/config"
#define HTTP "fermyon:spin/http"
#define SEND "send-request"
#define KEY_VALUE "fermyon:spin/key-value"
#define POSTGRES "fermyon:spin/postgres"
#define MYSQL "fermyon:spin/mysql"
#define REDIS "fermyon:spin/redis"
#define SQLITE "fermyon:spin/sqlite"
#define HANDLE_REQUEST "fermyon:spin/inbound-http#handle-request"
#define HANDLE_MESSAGE "fermyon:spin/inbound-redis#handle-message"
#define REALLOC "cabi_realloc"
#endif

typedef struct { const char *ptr; uint32_t len; } text;
typedef struct { text name, value; } field;
typedef struct { const field *ptr; uint32_t len; } fields;
typedef struct { uint32_t is_some; fields value; } option_fields;
typedef struct { uint32_t is_some; text value; } option_text;
typedef struct { uint16_t status; option_fields headers; option_text body; } response;
typedef struct { uint8_t is_err; union { uint32_t number; text bytes; struct { uint8_t kind; text message; } error; }; } result;
typedef struct { uint8_t kind; union { int64_t integer; double real; text bytes; }; } value;
typedef struct { const value *ptr; uint32_t len; } values;
typedef struct { const text *ptr; uint32_t len; } texts;
typedef struct { const values *ptr; uint32_t len; } rows;
typedef struct { uint8_t is_err; union { struct { texts columns; rows rows; }; struct { uint8_t kind; text message; } error; }; } query_result;
typedef struct { uint8_t is_err; union { response ok; uint8_t error; }; } fetched;
typedef struct { uint8_t is_err; union { int64_t number; text bytes; uint8_t error; }; } redis_number;

#define TEXT(t) (t).ptr, (t).len
#define FROM(module, name) __attribute__((import_module(module), import_name(name)))
FROM(CONFIG, "get-config") void config_get(const char *, uint32_t, result *);
FROM(KEY_VALUE, "open") void store_open(const char *, uint32_t, result *);
FROM(KEY_VALUE, "get") void store_get(uint32_t, const char *, uint32_t, result *);
FROM(KEY_VALUE, "set") void store_set(uint32_t, const char *, uint32_t, const char *, uint32_t, result *);
FROM(KEY_VALUE, "delete") void store_delete(uint32_t, const char *, uint32_t, result *);
FROM(KEY_VALUE, "exists") void store_exists(uint32_t, const char *, uint32_t, result *);
FROM(KEY_VALUE, "get-keys") void store_keys(uint32_t, result *);
FROM(KEY_VALUE, "close") void store_close(uint32_t);
FROM(SQLITE, "open") void database_open(const char *, uint32_t, result *);
FROM(SQLITE, "execute") void database_execute(uint32_t, const char *, uint32_t, const value *, uint32_t, query_result *);
FROM(SQLITE, "close") void database_close(uint32_t);
FROM(HTTP, SEND) void http_send(uint32_t, const char *, uint32_t, const field *, uint32_t, const field *, uint32_t,
                                uint32_t, const char *, uint32_t, fetched *);
FROM(REDIS, "publish") void redis_publish(const char *, uint32_t, const char *, uint32_t, const char *, uint32_t, uint8_t *);
FROM(REDIS, "get") void redis_get(const char *, uint32_t, const char *, uint32_t, result *);
FROM(REDIS, "set") void redis_set(const char *, uint32_t, const char *, uint32_t, const char *, uint32_t, uint8_t *);
FROM(REDIS, "incr") void redis_incr(const char *, uint32_t, const char *, uint32_t, redis_number *);
FROM(POSTGRES, "query") void postgres_query(const char *, uint32_t, const char *, uint32_t, const void *, uint32_t, query_result *);
FROM(MYSQL, "query") void mysql_query(const char *, uint32_t, const char *, uint32_t, const void *, uint32_t, query_result *);

static char out[1 << 20];
static uint32_t out_len;
static response answered;

__attribute__((export_name(REALLOC))) void *reallocate(void *old, size_t old_size, size_t align, size_t size) {
  (void)old_size;
  if (size == 0) {
#ifdef OLD_BINDINGS
    abort();  // as the C bindings of the first TinyGo SDK did
#endif
    return (void *)align;
  }
  return realloc(old, size);
}

static void put(const char *bytes, uint32_t len) {
  if (len > sizeof out - out_len) abort();
  memcpy(out + out_len, bytes, len);
  out_len += len;
}

static void say(const char *string) { put(string, strlen(string)); }

static void say_number(long long number) {
  char digits[24];
  put(digits, (uint32_t)snprintf(digits, sizeof digits, "%lld", number));
}

static void say_error(int kind, const text *message) {
  answered.status = 500;
  say("error ");
  say_number(kind);
  if (message) {
    say(" ");
    put(TEXT(*message));
  }
}

// The rest of a path behind a prefix, or null.
static const char *after(const char *path, const char *prefix) {
  size_t length = strlen(prefix);
  return strncmp(path, prefix, length) ? NULL : path + length;
}

static text word(const char *string) { return (text){string, (uint32_t)strlen(string)}; }

static void say_result(const result *got, int last_error) {
  if (got->is_err) say_error(got->error.kind, got->error.kind == last_error ? &got->error.message : NULL);
}

// /kv/STORE lists keys, /kv/STORE/KEY gets, sets, deletes or looks for one.
static void key_value(uint32_t method, char *rest, text body) {
  char *key = strchr(rest, '/');
  if (key) *key++ = 0;
  result got;
  store_open(TEXT(word(rest)), &got);
  if (got.is_err) {
    say_result(&got, 5);
    return;
  }
  uint32_t store = got.number;
  text name = word(key ? key : "");
  if (!key) {
    store_keys(store, &got);
    const texts *keys = (const texts *)&got.bytes;
    for (uint32_t i = 0; !got.is_err && i < keys->len; i++) {
      put(TEXT(keys->ptr[i]));
      say("\n");
    }
  } else if (method == 0) {
    store_get(store, TEXT(name), &got);
    if (!got.is_err) put(TEXT(got.bytes));
  } else if (method == 2) {
    store_set(store, TEXT(name), TEXT(body), &got);
  } else if (method == 3) {
    store_delete(store, TEXT(name), &got);
  } else {
    store_exists(store, TEXT(name), &got);
    if (!got.is_err) say_number(*(const uint8_t *)&got.number);
  }
  say_result(&got, 5);
  store_close(store);
  store_close(store);  // which means nothing
}

static void stale_store(void) {
  result got;
  store_open(TEXT(word("default")), &got);
  store_close(got.number);
  store_get(got.number, TEXT(word("a")), &got);
  say_result(&got, 5);
}

static void say_value(const value *each) {
  char real[32];
  switch (each->kind) {
    case 0: say_number(each->integer); break;
    case 1: put(real, (uint32_t)snprintf(real, sizeof real, "%g", each->real)); break;
    case 2: case 3: put(TEXT(each->bytes)); break;
    default: say("null");
  }
}

// /sql/DATABASE: the body is a statement; ?1 is 7, ?2 is "seven".
static void sql(const char *database, text statement) {
  result opened;
  database_open(TEXT(word(database)), &opened);
  if (opened.is_err) {
    say_result(&opened, 4);
    return;
  }
  value parameters[2] = {{.kind = 0, .integer = 7}, {.kind = 2, .bytes = {"seven", 5}}};
  query_result got;
  uint32_t count = memchr(statement.ptr, '?', statement.len) ? 2 : 0;
  database_execute(opened.number, TEXT(statement), parameters, count, &got);
  if (got.is_err) {
    say_error(got.error.kind, got.error.kind == 4 ? &got.error.message : NULL);
  } else {
    for (uint32_t i = 0; i < got.columns.len; i++) put(TEXT(got.columns.ptr[i])), say("|");
    for (uint32_t i = 0; i < got.rows.len; i++) {
      say("\n");
      for (uint32_t j = 0; j < got.rows.ptr[i].len; j++) say_value(&got.rows.ptr[i].ptr[j]), say("|");
    }
  }
  database_close(opened.number);
}

// /fetch: the header `url` says from where; the method and the body are sent on.
static void fetch(uint32_t method, fields headers, text body) {
  text url = {"", 0};
  for (uint32_t i = 0; i < headers.len; i++)
    if (headers.ptr[i].name.len == 3 && !memcmp(headers.ptr[i].name.ptr, "url", 3)) url = headers.ptr[i].value;
  fetched got;
  http_send(method, TEXT(url), headers.ptr, headers.len, NULL, 0, 1, TEXT(body), &got);
  if (got.is_err) {
    say_error(got.error, NULL);
    return;
  }
  answered.status = got.ok.status;
  answered.headers = got.ok.headers;
  if (got.ok.body.is_some) put(TEXT(got.ok.body.value));
}

// /redis: the body is an address. Sets, counts, gets and publishes.
static void redis(text address) {
  uint8_t done[2];
  redis_set(TEXT(address), TEXT(word("spin1")), TEXT(word("41")), done);
  if (done[0]) {
    say_error(done[1], NULL);
    return;
  }
  redis_number count;
  redis_incr(TEXT(address), TEXT(word("spin1")), &count);
  say_number(count.is_err ? -1 : count.number);
  result got;
  redis_get(TEXT(address), TEXT(word("spin1")), &got);
  say(" ");
  put(TEXT(got.bytes));
  redis_publish(TEXT(address), TEXT(word("spin1")), TEXT(word("said")), done);
  say(done[0] ? " unsaid" : " said");
}

static void query(int is_mysql, text address) {
  query_result got;
  (is_mysql ? mysql_query : postgres_query)(TEXT(address), TEXT(word("SELECT 1")), NULL, 0, &got);
  if (got.is_err) say_error(got.error.kind, got.error.kind ? &got.error.message : NULL);
}

static void file(const char *path) {
  FILE *opened = fopen(path, "r");
  if (!opened) {
    answered.status = 404;
    return;
  }
  out_len += fread(out, 1, sizeof out, opened);
  fclose(opened);
}

__attribute__((export_name(HANDLE_REQUEST))) response *handle_request(
    uint32_t method, char *uri, uint32_t uri_len, const field *headers, uint32_t headers_len, const field *params,
    uint32_t params_len, uint32_t has_body, const char *body_ptr, uint32_t body_len) {
  (void)params;
  static char path[4096];
  if (uri_len >= sizeof path) abort();
  memcpy(path, uri, uri_len);
  path[uri_len] = 0;
  text body = {has_body ? body_ptr : "", has_body ? body_len : 0};
  fields given = {headers, headers_len};
  out_len = 0;
  answered = (response){.status = 200};
  const char *rest;
  if ((rest = after(path, "/kv/"))) key_value(method, (char *)rest, body);
  else if (!strcmp(path, "/stale")) stale_store();
  else if ((rest = after(path, "/sql/"))) sql(rest, body);
  else if ((rest = after(path, "/config/"))) {
    result got;
    config_get(TEXT(word(rest)), &got);
    if (got.is_err) say_error(got.error.kind, &got.error.message);
    else put(TEXT(got.bytes));
  } else if (!strcmp(path, "/fetch")) fetch(method, given, body);
  else if (!strcmp(path, "/redis")) redis(body);
  else if (!strcmp(path, "/pg")) query(0, body);
  else if (!strcmp(path, "/mysql")) query(1, body);
  else if ((rest = after(path, "/file"))) file(rest);
  else if ((rest = after(path, "/env/"))) say(getenv(rest) ? getenv(rest) : "none");
  else if ((rest = after(path, "/log/"))) {
    puts(rest);
    fflush(stdout);
  } else if ((rest = after(path, "/status/"))) answered.status = (uint16_t)atoi(rest);
  else if ((rest = after(path, "/header/"))) {
    static field long_one = {{"h", 1}, {NULL, 0}};
    size_t length = (size_t)atoi(rest);
    char *content = malloc(length);
    memset(content, 'v', length);
    long_one.value = (text){content, length};
    answered.headers = (option_fields){1, {&long_one, 1}};
  } else if (!strcmp(path, "/trap")) __builtin_trap();
  else if (!strcmp(path, "/headers")) {
    static const field sent[2] = {{{"Content-Type", 12}, {"text/plain", 10}}, {{"x-who", 5}, {"spin1", 5}}};
    answered.headers = (option_fields){1, {sent, 2}};
    say_number(method);
    say(" ");
    say_number(params_len);
    for (uint32_t i = 0; i < headers_len; i++) {
      say("\n");
      put(TEXT(headers[i].name));
      say(": ");
      put(TEXT(headers[i].value));
    }
  } else put(TEXT(body));
  answered.body = (option_text){1, {out, out_len}};
  return &answered;
}

#ifndef OLD_BINDINGS
static int posts;

__attribute__((export_name("cabi_post_" HANDLE_REQUEST))) void post_request(response *given) {
  if (given != &answered || posts++) __builtin_trap();
}
#endif

// Keeps a message in the store "default"; `fail` fails.
__attribute__((export_name(HANDLE_MESSAGE))) uint8_t *handle_message(const char *message, uint32_t len) {
  static uint8_t outcome[2];
  result got;
  if (len == 4 && !memcmp(message, "fail", 4)) {
    outcome[0] = outcome[1] = 1;
    return outcome;
  }
  store_open(TEXT(word("default")), &got);
  if (!got.is_err) store_set(got.number, TEXT(word("message")), message, len, &got);
  outcome[0] = outcome[1] = got.is_err;
  return outcome;
}
