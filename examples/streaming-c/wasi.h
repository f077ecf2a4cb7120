/* The part of wasi:http and wasi:io that main.c calls, in the canonical ABI of the component model.
 *
 * Resources are handles (int32). A result is written to the place that the last argument points at: its case in the
 * first byte (0 is ok), its payload at the next place that suits the payload's size. Strings and lists are a pointer
 * and a length; what the host hands over it puts where cabi_realloc says.
 */
#include <stddef.h>
#include <stdint.h>

typedef int32_t handle;

#define IMPORT(module, name) __attribute__((import_module(module), import_name(name))) extern
#define EXPORT(name) __attribute__((export_name(name)))

#define HTTP "wasi:http/types@0.2.3"
#define STREAMS "wasi:io/streams@0.2.3"
#define POLL "wasi:io/poll@0.2.3"

struct list {
  uint8_t *at;
  size_t size;
};

/* option<string> */
struct optional_string {
  uint8_t present;
  struct list value;
};

/* result<handle>, and result<_, header-error> */
struct handle_result {
  uint8_t failed;
  handle value;
};

/* result<list<u8>, stream-error>, where `reason` is the case of the error */
struct read_result {
  uint8_t failed;
  union {
    struct list bytes;
    uint8_t reason;
  };
};

/* result<_, stream-error>: as large as all that the host writes, though only the case is read. */
struct write_result {
  uint8_t failed;
  uint32_t error[2];
};

/* result<u64, stream-error> */
struct size_result {
  uint8_t failed;
  uint64_t value;
};

/* result<_, error-code>: likewise. */
struct finish_result {
  uint8_t failed;
  uint64_t error[4];
};

IMPORT(HTTP, "[method]incoming-request.path-with-query") void request_path(handle, struct optional_string *);
IMPORT(HTTP, "[method]incoming-request.consume") void request_consume(handle, struct handle_result *);
IMPORT(HTTP, "[method]incoming-body.stream") void incoming_body_stream(handle, struct handle_result *);
IMPORT(HTTP, "[constructor]fields") handle fields_new(void);
IMPORT(HTTP, "[method]fields.append")
void fields_append(handle, const char *name, size_t name_size, const char *value, size_t value_size,
                   struct handle_result *);
IMPORT(HTTP, "[constructor]outgoing-response") handle response_new(handle headers);
IMPORT(HTTP, "[method]outgoing-response.set-status-code") int32_t response_set_status(handle, int32_t status);
IMPORT(HTTP, "[method]outgoing-response.body") void response_body(handle, struct handle_result *);
IMPORT(HTTP, "[static]response-outparam.set")
void response_set(handle out, int32_t failed, handle response, int32_t, uint64_t, int32_t, int32_t, int32_t, int32_t);
IMPORT(HTTP, "[method]outgoing-body.write") void outgoing_body_write(handle, struct handle_result *);
IMPORT(HTTP, "[static]outgoing-body.finish")
void outgoing_body_finish(handle, int32_t has_trailers, handle trailers, struct finish_result *);

IMPORT(STREAMS, "[method]input-stream.read") void input_read(handle, uint64_t size, struct read_result *);
IMPORT(STREAMS, "[method]input-stream.blocking-read")
void input_blocking_read(handle, uint64_t size, struct read_result *);
IMPORT(STREAMS, "[method]input-stream.subscribe") handle input_subscribe(handle);
IMPORT(STREAMS, "[method]output-stream.check-write") void output_check_write(handle, struct size_result *);
IMPORT(STREAMS, "[method]output-stream.write")
void output_write(handle, const uint8_t *, size_t, struct write_result *);
IMPORT(STREAMS, "[method]output-stream.blocking-write-and-flush")
void output_blocking_write_and_flush(handle, const uint8_t *, size_t, struct write_result *);
IMPORT(STREAMS, "[method]output-stream.blocking-splice")
void output_blocking_splice(handle, handle input, uint64_t size, struct size_result *);
IMPORT(STREAMS, "[method]output-stream.subscribe") handle output_subscribe(handle);
IMPORT(STREAMS, "[resource-drop]input-stream") void input_drop(handle);
IMPORT(STREAMS, "[resource-drop]output-stream") void output_drop(handle);
IMPORT(POLL, "poll") void poll(const handle *, size_t, struct list *ready);
IMPORT(POLL, "[resource-drop]pollable") void pollable_drop(handle);
