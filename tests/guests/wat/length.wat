;; length: /N announces 10 bytes in content-length and answers N zero bytes, at most 4096, whatever the host says.
(component
  ;; include imports.wat
  ;; include lib.wat
  (core module $Guest
    (import "memory" "memory" (memory 4))
    (import "host" "output-stream.blocking-write-and-flush" (func $write-and-flush (param i32 i32 i32 i32)))
    (import "host" "fields.append" (func $fields.append (param i32 i32 i32 i32 i32 i32)))
    (import "lib" "check" (func $check))
    (import "lib" "number" (func $number (param i32 i64) (result i64)))
    (import "lib" "headers" (func $headers (result i32)))
    (import "lib" "respond" (func $respond (param i32 i32 i32) (result i32)))
    (import "lib" "finish" (func $finish))
    (data (i32.const 1024) "content-length")
    (data (i32.const 1040) "10")
    (func (export "handle") (param $request i32) (param $out i32)
      (local $headers i32)
      (local.set $headers (call $headers))
      (call $fields.append (local.get $headers)
        (i32.const 1024) (i32.const 14) (i32.const 1040) (i32.const 2) (i32.const 0))
      (call $check)
      (call $write-and-flush
        (call $respond (local.get $out) (i32.const 200) (local.get $headers))
        (i32.const 4096) (i32.wrap_i64 (call $number (local.get $request) (i64.const 10))) (i32.const 0))
      (call $finish)))
  ;; include start.wat
  ;; include export.wat
)
