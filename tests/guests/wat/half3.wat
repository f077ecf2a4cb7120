;; half3: reads the first piece of the request body, at most 1000 bytes, drops the rest and answers how
;; many it had.
(component
  ;; include imports3.wat
  ;; include lib3.wat
  (core module $Guest
    (import "memory" "memory" (memory 1))
    (import "host" "request.consume-body" (func $consume-body (param i32 i32 i32)))
    (import "host" "stream.read-wait" (func $stream.read (param i32 i32 i32) (result i32)))
    (import "host" "stream.drop-readable" (func $stream.drop-readable (param i32)))
    (import "host" "ended.drop-readable" (func $ended.drop-readable (param i32)))
    (import "host" "sent.new" (func $sent.new (result i64)))
    (import "host" "sent.write-wait" (func $sent.write (param i32 i32) (result i32)))
    (import "host" "sent.drop-writable" (func $sent.drop-writable (param i32)))
    (import "lib" "writable" (func $writable (param i64) (result i32)))
    (import "lib" "start" (func $start))
    (import "lib" "finish" (func $finish))
    (import "lib" "put-number" (func $put-number (param i64)))
    (func (export "handle") (param $request i32) (result i32)
      (local $sent i64) (local $took i32)
      (local.set $sent (call $sent.new))
      (call $consume-body (local.get $request) (i32.wrap_i64 (local.get $sent)) (i32.const 0))
      (call $ended.drop-readable (i32.load (i32.const 4)))
      (local.set $took (call $stream.read (i32.load (i32.const 0)) (i32.const 4096) (i32.const 1000)))
      (call $stream.drop-readable (i32.load (i32.const 0)))
      (call $start)
      (call $put-number (i64.extend_i32_u (i32.shr_u (local.get $took) (i32.const 4))))
      (call $finish)
      (drop (call $sent.write (call $writable (local.get $sent)) (i32.const 128)))
      (call $sent.drop-writable (call $writable (local.get $sent)))
      (i32.const 0))
    (func (export "callback") (param i32 i32 i32) (result i32) (unreachable)))
  ;; include start.wat
  ;; include export3.wat
)
