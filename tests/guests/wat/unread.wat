;; unread: opens the request body, never reads it, and answers "unread".
(component
  ;; include imports.wat
  ;; include lib.wat
  (core module $Guest
    (import "memory" "memory" (memory 4))
    (import "host" "request.consume" (func $request.consume (param i32 i32)))
    (import "host" "incoming-body.stream" (func $incoming-body.stream (param i32 i32)))
    (import "lib" "check" (func $check))
    (import "lib" "start" (func $start (param i32)))
    (import "lib" "put" (func $put (param i32 i32)))
    (import "lib" "finish" (func $finish))
    (data (i32.const 1024) "unread")
    (func (export "handle") (param $request i32) (param $out i32)
      (call $request.consume (local.get $request) (i32.const 0))
      (call $check)
      (call $incoming-body.stream (i32.load (i32.const 4)) (i32.const 0))
      (call $check)
      (call $start (local.get $out))
      (call $put (i32.const 1024) (i32.const 6))
      (call $finish)))
  ;; include start.wat
  ;; include export.wat
)
