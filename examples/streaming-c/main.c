/* Three ways to stream a request body back as the response, in constant memory whatever its size.
 *
 *   /shout   the body in capitals: reads and writes that wait
 *   /echo    the body as it is: reads and writes that never wait, and one poll on both streams
 *   /splice  the body as it is, without its bytes ever entering this component
 */
#include "wasi.h"

enum { PIECE = 16 * 1024 };      /* of the body, in memory at once */
enum { WRITE_MAX = 4096 };       /* what a flushing write accepts at once */
enum { CLOSED = 1 };             /* the case of stream-error that is no failure */

/* The host's lists and strings land in an arena that is emptied before each of them is asked for. */
static _Alignas(8) uint8_t arena[64 * 1024];
static size_t arena_used;

EXPORT("cabi_realloc") void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
  (void)old, (void)old_size;
  size_t at = (arena_used + align - 1) & ~(align - 1);
  if (at > sizeof arena || size > sizeof arena - at) __builtin_trap();
  arena_used = at + size;
  return arena + at;
}

static handle expect(struct handle_result result) {
  if (result.failed) __builtin_trap();
  return result.value;
}

/* Next piece of the body by waiting for it; size 0 at its end. */
static struct list read_piece(handle input) {
  struct read_result piece;
  arena_used = 0;
  do {
    input_blocking_read(input, PIECE, &piece);
    if (piece.failed && piece.reason == CLOSED) return (struct list){0};
    if (piece.failed) __builtin_trap();
  } while (piece.bytes.size == 0);
  return piece.bytes;
}

static void write_all(handle output, const uint8_t *at, size_t size) {
  struct write_result result;
  for (size_t part; size > 0; at += part, size -= part) {
    part = size < WRITE_MAX ? size : WRITE_MAX;
    output_blocking_write_and_flush(output, at, part, &result);
    if (result.failed) __builtin_trap();
  }
}

static void shout(handle input, handle output) {
  for (struct list piece; (piece = read_piece(input)).size > 0;) {
    for (size_t i = 0; i < piece.size; i++)
      if (piece.at[i] >= 'a' && piece.at[i] <= 'z') piece.at[i] -= 'a' - 'A';
    write_all(output, piece.at, piece.size);
  }
}

/* Moves whatever can be moved at once, both ways, and waits on whichever stream it wants only when nothing can. */
static void echo(handle input, handle output) {
  static uint8_t buffer[PIECE];
  size_t begin = 0, end = 0;
  int ended = 0;
  handle readable = input_subscribe(input), writable = output_subscribe(output);
  while (!ended || begin < end) {
    int moved = 0;
    if (!ended && end < PIECE) {
      struct read_result piece;
      arena_used = 0;
      input_read(input, PIECE - end, &piece);
      if (piece.failed && piece.reason != CLOSED) __builtin_trap();
      if (piece.failed) {
        ended = moved = 1;
      } else if (piece.bytes.size > 0) {
        __builtin_memcpy(buffer + end, piece.bytes.at, piece.bytes.size);
        end += piece.bytes.size, moved = 1;
      }
    }
    if (begin < end) {
      struct size_result room;
      output_check_write(output, &room);
      if (room.failed) __builtin_trap();
      size_t part = end - begin < room.value ? end - begin : (size_t)room.value;
      if (part > 0) {
        struct write_result result;
        output_write(output, buffer + begin, part, &result);
        if (result.failed) __builtin_trap();
        begin += part, moved = 1;
      }
      if (begin == end) begin = end = 0;
    }
    if (!moved) {
      handle waiting[2];
      size_t count = 0;
      if (!ended && end < PIECE) waiting[count++] = readable;
      if (begin < end) waiting[count++] = writable;
      struct list ready;
      arena_used = 0;
      poll(waiting, count, &ready);
    }
  }
  pollable_drop(readable);
  pollable_drop(writable);
}

/* The host moves the bytes from stream to stream; the first error is the end of the body. */
static void splice(handle input, handle output) {
  struct size_result moved;
  do output_blocking_splice(output, input, PIECE, &moved);
  while (!moved.failed);
}

static int is(struct optional_string path, const char *wanted) {
  size_t i = 0;
  for (; wanted[i]; i++)
    if (!path.present || i >= path.value.size || path.value.at[i] != (uint8_t)wanted[i]) return 0;
  return i == path.value.size || path.value.at[i] == '?';
}

static void stream_nothing(handle input, handle output) {
  static const char help[] = "Post something to /shout, /echo or /splice.\n";
  (void)input;
  write_all(output, (const uint8_t *)help, sizeof help - 1);
}

EXPORT("wasi:http/incoming-handler@0.2.3#handle") void handle_request(handle request, handle out) {
  static const struct {
    const char *path;
    void (*stream)(handle input, handle output);
  } routes[] = {{"/shout", shout}, {"/echo", echo}, {"/splice", splice}};

  struct optional_string path;
  request_path(request, &path);
  int status = 404;
  void (*stream)(handle, handle) = stream_nothing;
  for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
    if (is(path, routes[i].path)) status = 200, stream = routes[i].stream;

  struct handle_result result;
  request_consume(request, &result);
  handle incoming = expect(result);
  incoming_body_stream(incoming, &result);
  handle input = expect(result);

  handle headers = fields_new();
  fields_append(headers, "content-type", 12, "text/plain", 10, &result);
  expect(result);
  handle response = response_new(headers);
  response_set_status(response, status);
  response_body(response, &result);
  handle outgoing = expect(result);
  outgoing_body_write(outgoing, &result);
  handle output = expect(result);
  response_set(out, 0, response, 0, 0, 0, 0, 0, 0);

  stream(input, output);

  input_drop(input);
  output_drop(output);
  struct finish_result finished;
  outgoing_body_finish(outgoing, 0, 0, &finished);
  if (finished.failed) __builtin_trap();
}
