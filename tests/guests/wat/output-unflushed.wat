;; output-unflushed: /N answers N zero bytes and never flushes: it writes what it may and waits to be let write
;; more; without N, 64 MiB.
(component
  ;; include imports.wat
  ;; include lib.wat
  (core module $Guest
    (import "host" "output-stream.check-write" (func $check-write (param i32 i32)))
    (import "host" "output-stream.write" (func $write (param i32 i32 i32 i32)))
    (import "host" "output-stream.subscribe" (func $subscribe (param i32) (result i32)))
    (import "host" "pollable.block" (func $pollable.block (param i32)))
    (import "host" "pollable.drop" (func $pollable.drop (param i32)))
    (import "memory" "memory" (memory 4))
    (import "lib" "check" (func $check))
    (import "lib" "number" (func $number (param i32 i64) (result i64)))
    (import "lib" "headers" (func $headers (result i32)))
    (import "lib" "respond" (func $respond (param i32 i32 i32) (result i32)))
    (import "lib" "finish" (func $finish))
    (func (export "handle") (param $request i32) (param $out i32)
      (local $left i64) (local $piece i64) (local $stream i32) (local $pollable i32)
      (local.set $left (call $number (local.get $request) (i64.const 67108864)))
      (local.set $stream (call $respond (local.get $out) (i32.const 200) (call $headers)))
      (local.set $pollable (call $subscribe (local.get $stream)))
      (block $done
        (loop $next
          (br_if $done (i64.eqz (local.get $left)))
          (call $pollable.block (local.get $pollable))
          (call $check-write (local.get $stream) (i32.const 0))
          (call $check)
          (local.set $piece (i64.load (i32.const 8)))
          (local.set $piece (select (local.get $piece) (local.get $left)
            (i64.lt_u (local.get $piece) (local.get $left))))
          (local.set $piece (select (local.get $piece) (i64.const 32768)
            (i64.lt_u (local.get $piece) (i64.const 32768))))
          (call $write (local.get $stream) (i32.const 4096) (i32.wrap_i64 (local.get $piece)) (i32.const 0))
          (call $check)
          (local.set $left (i64.sub (local.get $left) (local.get $piece)))
          (br $next)))
      (call $pollable.drop (local.get $pollable))
      (call $finish)))
  ;; include start.wat
  ;; include export.wat
)
