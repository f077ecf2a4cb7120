;; status: /N answers with status N, text/plain and an empty body.
(component
  ;; include imports.wat
  ;; include lib.wat
  (core module $Guest
    (import "lib" "number" (func $number (param i32 i64) (result i64)))
    (import "lib" "headers" (func $headers (result i32)))
    (import "lib" "respond" (func $respond (param i32 i32 i32) (result i32)))
    (import "lib" "finish" (func $finish))
    (func (export "handle") (param $request i32) (param $out i32)
      (drop (call $respond (local.get $out)
        (i32.wrap_i64 (call $number (local.get $request) (i64.const 200))) (call $headers)))
      (call $finish)))
  ;; include start.wat
  ;; include export.wat
)
