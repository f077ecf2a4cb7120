;; counter: adds one to a global and answers it: 1 in a fresh instance.
(component
  ;; include imports.wat
  ;; include lib.wat
  (core module $Guest
    (import "lib" "start" (func $start (param i32)))
    (import "lib" "put-number" (func $put-number (param i64)))
    (import "lib" "finish" (func $finish))
    (global $counter (mut i64) (i64.const 0))
    (func (export "handle") (param $request i32) (param $out i32)
      (global.set $counter (i64.add (global.get $counter) (i64.const 1)))
      (call $start (local.get $out))
      (call $put-number (global.get $counter))
      (call $finish)))
  ;; include start.wat
  ;; include export.wat
)
