;; echo3: answers with the request body and its trailers, piece by piece as they come, many requests at once.
(component
  ;; include imports3.wat
  ;; include lib3.wat
  ;; include tasks3.wat
  ;; A task's record: what it waits with (set), reads from (in) and writes to (out); the news for the client that its
  ;; request was taken (sent); the part of the buffer that is yet to be written (at, left); whether that is all (over).
  (core module $Guest
    (import "memory" "memory" (memory 1))
    (import "host" "context.get" (func $context.get (result i32)))
    (import "host" "set.new" (func $set.new (result i32)))
    (import "host" "set.drop" (func $set.drop (param i32)))
    (import "host" "join" (func $join (param i32 i32)))
    (import "host" "request.consume-body" (func $consume-body (param i32 i32 i32)))
    (import "host" "stream.new" (func $stream.new (result i64)))
    (import "host" "stream.read" (func $stream.read (param i32 i32 i32) (result i32)))
    (import "host" "stream.write" (func $stream.write (param i32 i32 i32) (result i32)))
    (import "host" "stream.drop-readable" (func $stream.drop-readable (param i32)))
    (import "host" "stream.drop-writable" (func $stream.drop-writable (param i32)))
    (import "host" "sent.new" (func $sent.new (result i64)))
    (import "host" "sent.write" (func $sent.write (param i32 i32) (result i32)))
    (import "host" "sent.drop-writable" (func $sent.drop-writable (param i32)))
    (import "lib" "writable" (func $writable (param i64) (result i32)))
    (import "lib" "headers" (func $headers (result i32)))
    (import "lib" "response" (func $response (param i32 i32 i32) (result i32)))
    (import "lib" "return" (func $return (param i32)))
    (import "tasks" "new" (func $task.new (result i32)))
    (import "tasks" "free" (func $task.free (param i32)))

    (func (export "handle") (param $request i32) (result i32)
      (local $task i32) (local $sent i64) (local $body i64)
      (local.set $task (call $task.new))
      (local.set $sent (call $sent.new))
      (local.set $body (call $stream.new))
      (call $consume-body (local.get $request) (i32.wrap_i64 (local.get $sent)) (i32.const 0))
      (i32.store offset=0 (local.get $task) (call $set.new))
      (i32.store offset=4 (local.get $task) (i32.load (i32.const 0)))
      (i32.store offset=8 (local.get $task) (call $writable (local.get $body)))
      (i32.store offset=12 (local.get $task) (call $writable (local.get $sent)))
      (i32.store offset=20 (local.get $task) (i32.const 0))
      (i32.store offset=24 (local.get $task) (i32.const 0))
      (call $join (i32.load offset=4 (local.get $task)) (i32.load (local.get $task)))
      (call $join (i32.load offset=8 (local.get $task)) (i32.load (local.get $task)))
      ;; The trailers are the request's own: the host is given back what it gave.
      (call $return
        (call $response (call $headers) (i32.wrap_i64 (local.get $body)) (i32.load (i32.const 4))))
      (call $run (local.get $task)))

    (func (export "callback") (param $event i32) (param $which i32) (param $code i32) (result i32)
      (local $task i32)
      (local.set $task (call $context.get))
      (if (i32.eq (local.get $event) (i32.const 5)) (then (return (call $end (local.get $task)))))
      (if (i32.eq (local.get $event) (i32.const 2))
        (then (call $took (local.get $task) (local.get $code)))
        (else (call $wrote (local.get $task) (local.get $code))))
      (call $run (local.get $task)))

    ;; Write and read as long as neither has to be waited for.
    (func $run (param $task i32) (result i32)
      (local $code i32)
      (loop $next
        (if (i32.load offset=20 (local.get $task)) (then
          (local.set $code (call $stream.write (i32.load offset=8 (local.get $task))
            (i32.load offset=16 (local.get $task)) (i32.load offset=20 (local.get $task))))
          (if (i32.eq (local.get $code) (i32.const -1)) (then (return (call $wait (local.get $task)))))
          (call $wrote (local.get $task) (local.get $code))
          (br $next)))
        (if (i32.eqz (i32.load offset=24 (local.get $task))) (then
          (local.set $code (call $stream.read (i32.load offset=4 (local.get $task))
            (i32.add (local.get $task) (i32.const 64)) (i32.const 8128)))
          (if (i32.eq (local.get $code) (i32.const -1)) (then (return (call $wait (local.get $task)))))
          (call $took (local.get $task) (local.get $code))
          (br $next))))
      (call $stream.drop-readable (i32.load offset=4 (local.get $task)))
      (call $stream.drop-writable (i32.load offset=8 (local.get $task)))
      (if (i32.eq (call $sent.write (i32.load offset=12 (local.get $task)) (i32.const 128)) (i32.const -1)) (then
        (call $join (i32.load offset=12 (local.get $task)) (i32.load (local.get $task)))
        (return (call $wait (local.get $task)))))
      (call $end (local.get $task)))

    ;; Callback code WAIT, for the task's set.
    (func $wait (param $task i32) (result i32)
      (i32.or (i32.const 2) (i32.shl (i32.load (local.get $task)) (i32.const 4))))

    ;; A code has the count above its lowest four bits, which are not 0 where the other end was dropped.
    (func $took (param $task i32) (param $code i32)
      (i32.store offset=16 (local.get $task) (i32.add (local.get $task) (i32.const 64)))
      (i32.store offset=20 (local.get $task) (i32.shr_u (local.get $code) (i32.const 4)))
      (i32.store offset=24 (local.get $task) (i32.and (local.get $code) (i32.const 15))))
    (func $wrote (param $task i32) (param $code i32)
      (local $count i32)
      (local.set $count (i32.shr_u (local.get $code) (i32.const 4)))
      (i32.store offset=16 (local.get $task) (i32.add (i32.load offset=16 (local.get $task)) (local.get $count)))
      (i32.store offset=20 (local.get $task) (i32.sub (i32.load offset=20 (local.get $task)) (local.get $count)))
      (if (i32.and (local.get $code) (i32.const 15)) (then
        (i32.store offset=20 (local.get $task) (i32.const 0))
        (i32.store offset=24 (local.get $task) (i32.const 1)))))

    (func $end (param $task i32) (result i32)
      (call $sent.drop-writable (i32.load offset=12 (local.get $task)))
      (call $set.drop (i32.load (local.get $task)))
      (call $task.free (local.get $task))
      (i32.const 0)))
  (core instance $guest (instantiate $Guest
    (with "memory" (instance $memory)) (with "host" (instance $host)) (with "lib" (instance $lib))
    (with "tasks" (instance $tasks))))
  ;; include export3.wat
)
