;; trap-late: answers with status 200 and "partial", then traps.
(component
  ;; include imports.wat
  ;; include lib.wat
  (core module $Guest
    (import "memory" "memory" (memory 4))
    (import "lib" "start" (func $start (param i32)))
    (import "lib" "put" (func $put (param i32 i32)))
    (data (i32.const 1024) "partial")
    (func (export "handle") (param $request i32) (param $out i32)
      (call $start (local.get $out))
      (call $put (i32.const 1024) (i32.const 7))
      (unreachable)))
  ;; include start.wat
  ;; include export.wat
)
