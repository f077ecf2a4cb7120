;; upload: reads the whole request body, then answers how many bytes it had.
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
    (import "lib" "start" (func $start (param i32)))
    (import "lib" "put-number" (func $put-number (param i64)))
    (import "lib" "finish" (func $finish))
    (func (export "handle") (param $request i32) (param $out i32)
      (local $body i32) (local $stream i32) (local $count i64)
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
          (local.set $count (i64.add (local.get $count) (i64.load32_u (i32.const 8))))
          (call $reset)
          (br $next)))
      (call $start (local.get $out))
      (call $put-number (local.get $count))
      (call $finish)))
  ;; include start.wat
  ;; include export.wat
)
