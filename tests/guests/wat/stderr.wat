;; stderr: /N writes N hostile lines to stderr (escape sequences, CR, NUL, bytes that are no UTF-8) and answers
;; N; without N it writes for ever.
(component
  ;; include imports.wat
  ;; include lib.wat
  (core module $Guest
    (import "memory" "memory" (memory 4))
    (import "host" "stderr" (func $stderr (result i32)))
    (import "host" "output-stream.blocking-write-and-flush" (func $write-and-flush (param i32 i32 i32 i32)))
    (import "host" "output-stream.drop" (func $output-stream.drop (param i32)))
    (import "lib" "check" (func $check))
    (import "lib" "number" (func $number (param i32 i64) (result i64)))
    (import "lib" "start" (func $start (param i32)))
    (import "lib" "put-number" (func $put-number (param i64)))
    (import "lib" "finish" (func $finish))
    (data (i32.const 1024) "\1b[31mred\1b[0m\rover\00\ff\1b]0;title\07end\n")
    (func (export "handle") (param $request i32) (param $out i32)
      (local $count i64) (local $left i64) (local $stream i32)
      (local.set $count (call $number (local.get $request) (i64.const -1)))
      (local.set $left (local.get $count))
      (local.set $stream (call $stderr))
      (block $done
        (loop $line
          (br_if $done (i64.eqz (local.get $left)))
          (call $write-and-flush (local.get $stream) (i32.const 1024) (i32.const 33) (i32.const 0))
          (call $check)
          (local.set $left (i64.sub (local.get $left) (i64.const 1)))
          (br $line)))
      (call $output-stream.drop (local.get $stream))
      (call $start (local.get $out))
      (call $put-number (local.get $count))
      (call $finish)))
  ;; include start.wat
  ;; include export.wat
)
