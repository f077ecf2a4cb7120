;; trailers: reads the request body to its end and answers "trailers" with the request's trailers as its own.
(component
  ;; include imports.wat
  ;; include lib.wat
  (core module $Guest
    (import "memory" "memory" (memory 4))
    (import "memory" "reset" (func $reset))
    (import "host" "request.consume" (func $request.consume (param i32 i32)))
    (import "host" "incoming-body.stream" (func $incoming-body.stream (param i32 i32)))
    (import "host" "input-stream.blocking-read" (func $blocking-read (param i32 i64 i32)))
    (import "lib" "check" (func $check))
    (import "host" "input-stream.drop" (func $input-stream.drop (param i32)))
    (import "host" "incoming-body.finish" (func $incoming-body.finish (param i32) (result i32)))
    (import "host" "future-trailers.subscribe" (func $subscribe (param i32) (result i32)))
    (import "host" "future-trailers.get" (func $future-trailers.get (param i32 i32)))
    (import "host" "future-trailers.drop" (func $future-trailers.drop (param i32)))
    (import "host" "pollable.block" (func $pollable.block (param i32)))
    (import "host" "pollable.drop" (func $pollable.drop (param i32)))
    (import "lib" "start" (func $start (param i32)))
    (import "lib" "put" (func $put (param i32 i32)))
    (import "lib" "finish-with" (func $finish-with (param i32)))
    (data (i32.const 1024) "trailers")
    (func (export "handle") (param $request i32) (param $out i32)
      (local $body i32) (local $stream i32) (local $future i32) (local $pollable i32) (local $trailers i32)
      (call $request.consume (local.get $request) (i32.const 0))
      (call $check)
      (local.set $body (i32.load (i32.const 4)))
      (call $incoming-body.stream (local.get $body) (i32.const 0))
      (call $check)
      (local.set $stream (i32.load (i32.const 4)))
      (block $end
        (loop $next
          (call $blocking-read (local.get $stream) (i64.const 16384) (i32.const 0))
          (if (i32.load8_u (i32.const 0)) (then
            (br_if $end (i32.eq (i32.load8_u (i32.const 4)) (i32.const 1)))  ;; closed: the end of the body
            (unreachable)))
          (call $reset)
          (br $next)))
      (call $input-stream.drop (local.get $stream))
      (local.set $future (call $incoming-body.finish (local.get $body)))
      (local.set $pollable (call $subscribe (local.get $future)))
      (call $pollable.block (local.get $pollable))
      (call $pollable.drop (local.get $pollable))
      ;; option<result<result<option<trailers>, error-code>>>: 8 bytes a case, since error-code holds a u64.
      (call $future-trailers.get (local.get $future) (i32.const 0))
      (if (i32.ne (i32.load8_u (i32.const 0)) (i32.const 1)) (then (unreachable)))  ;; some
      (if (i32.load8_u (i32.const 8)) (then (unreachable)))                         ;; not taken before
      (if (i32.load8_u (i32.const 16)) (then (unreachable)))                        ;; no error
      (local.set $trailers (select (i32.load (i32.const 28)) (i32.const -1) (i32.load8_u (i32.const 24))))
      (call $future-trailers.drop (local.get $future))
      (call $start (local.get $out))
      (call $put (i32.const 1024) (i32.const 8))
      (call $finish-with (local.get $trailers))))
  ;; include start.wat
  ;; include export.wat
)
